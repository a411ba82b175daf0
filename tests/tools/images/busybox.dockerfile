FROM scratch
COPY busybox /bin/
RUN ["/bin/busybox", "mkdir", "-p", "/tmp", "/etc", "/usr/bin", "/usr/sbin", "/sbin"]
RUN ["/bin/busybox", "--install", "-s"]
CMD ["sh"]
