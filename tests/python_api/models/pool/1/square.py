"""What the processes do."""


def square(number):
    return number * number
