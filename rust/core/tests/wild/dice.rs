//! A sequence of numbers that looks random and is always the same.

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        // The shifts of Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())].clone()
    }

    pub(crate) fn number(&mut self) -> u64 {
        match self.roll(4) {
            0 => self.roll(8) as u64,
            1 => u64::MAX - self.roll(2) as u64,
            2 => 1 << self.roll(64),
            _ => self.roll(1 << 28) as u64,
        }
    }
}
