// AAA, AAS, AAM, AAD, DAA, DAS, SALC: gone from 64-bit mode, so the host offers no instruction to run, and they are
// written out after the pseudo-code of SDM volume 2.

import CPrimitives

extension CPU {
    private var al: UInt8 {
        get { register(0, as: UInt8.self) }
        nonmutating set { setRegister(0, to: newValue) }
    }

    private func has(_ flag: Int) -> Bool { arithmetic & UInt64(flag) != 0 }

    /// The flags of the addition or subtraction that an adjustment is made of, OF included, with the given AF and CF. The
    /// manuals define few of them; this is what CPUs do.
    private func setFlags<T: GuestInteger>(
        _ operand: T, _ correction: T, subtracting: Bool, adjust: Bool, carry: Bool
    ) {
        var flags: UInt64 = 0
        _ = subtracting ? Sub.apply(operand, correction, &flags) : Add.apply(operand, correction, &flags)
        flags &= ~UInt64(TZ_FLAG_AF | TZ_FLAG_CF)
        arithmetic = flags | (adjust ? UInt64(TZ_FLAG_AF) : 0) | (carry ? UInt64(TZ_FLAG_CF) : 0)
    }

    /// AAA (`subtracting` false) and AAS.
    func asciiAdjust(subtracting: Bool) {
        let adjust = al & 15 > 9 || has(TZ_FLAG_AF)
        let ax = register(0, as: UInt16.self)
        let correction: UInt16 = adjust ? 0x106 : 0
        setFlags(ax, correction, subtracting: subtracting, adjust: adjust, carry: adjust)
        setRegister(0, to: (subtracting ? ax &- correction : ax &+ correction) & 0xff0f)
    }

    /// AAM: AL in base `base`, digits in AH and AL.
    func asciiAdjustAfterMultiply(base: UInt8) throws(GuestFault) {
        guard base != 0 else { throw .divideError }
        setRegister(0, to: UInt16(al / base) << 8 | UInt16(al % base))
        setFlags(al, 0, subtracting: false, adjust: false, carry: false)
    }

    /// AAD: the digits in AH and AL become a number in AL. The flags are those of the addition.
    func asciiAdjustBeforeDivide(base: UInt8) {
        var flags: UInt64 = 0
        let sum = Add.apply(al, register(1, as: UInt8.self) &* base, &flags)
        setRegister(0, to: UInt16(sum))
        arithmetic = flags
    }

    /// DAA (`subtracting` false) and DAS.
    func decimalAdjust(subtracting: Bool) {
        let old = al
        let oldCarry = has(TZ_FLAG_CF)
        let adjust = old & 15 > 9 || has(TZ_FLAG_AF)
        let high = old > 0x99 || oldCarry
        let correction: UInt8 = (adjust ? 6 : 0) + (high ? 0x60 : 0)
        let borrows = subtracting && adjust && old < 6
        al = subtracting ? old &- correction : old &+ correction
        setFlags(old, correction, subtracting: subtracting, adjust: adjust, carry: high || borrows)
    }

    /// SALC: AL ← CF in every bit.
    func setALFromCarry() { al = has(TZ_FLAG_CF) ? 0xff : 0 }
}

func decimalHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .aaa: { s, _ in CPU(s).asciiAdjust(subtracting: false) }
    case .aas: { s, _ in CPU(s).asciiAdjust(subtracting: true) }
    case .aam:
        { s, i in
            execute(s) { cpu throws(GuestFault) in try cpu.asciiAdjustAfterMultiply(base: i.immediate(UInt8.self)) }
        }
    case .aad: { s, i in CPU(s).asciiAdjustBeforeDivide(base: i.immediate(UInt8.self)) }
    case .daa: { s, _ in CPU(s).decimalAdjust(subtracting: false) }
    case .das: { s, _ in CPU(s).decimalAdjust(subtracting: true) }
    case .salc: { s, _ in CPU(s).setALFromCarry() }
    default: nil
    }
}
