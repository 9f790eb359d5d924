// What the host offers, for tests that expect all of it.

import CPrimitives

enum NativeHost {
    /// AVX2, FMA, F16C, BMI, AES, PCLMULQDQ and SHA, with the vector state enabled.
    static var hasEverything: Bool {
        let leaf1 = tz_cpuid(1, 0)
        let leaf7 = tz_cpuid(7, 0)
        let wanted1: UInt32 = 1 << 1 | 1 << 12 | 1 << 25 | 1 << 27 | 1 << 28 | 1 << 29
        let wanted7: UInt32 = 1 << 3 | 1 << 5 | 1 << 8 | 1 << 29
        return leaf1.ecx & wanted1 == wanted1 && leaf7.ebx & wanted7 == wanted7
    }
}
