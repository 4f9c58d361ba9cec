//! Random bytes for keys, nonces and tickets: the one place that asks for them.

/// Fills `buffer` from the operating system's generator.
///
/// Asked directly: the generator of the cryptographic library first measures the processor's jitter for a tenth of a
/// second, which every start would wait for.
///
/// # Panics
/// Without a working generator no secret can be made, and going on with a guessable one would be worse than stopping.
pub(crate) fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

/// `N` random bytes.
pub(crate) fn array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Several of them, for which the system is asked once.
pub(crate) fn arrays<const N: usize, const COUNT: usize>() -> [[u8; N]; COUNT] {
    let mut all = [[0; N]; COUNT];
    fill(all.as_flattened_mut());
    all
}
