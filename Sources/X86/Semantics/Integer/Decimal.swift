// AAA, AAS, AAM, AAD, DAA, DAS, SALC: gone from 64-bit mode, so the host offers no instruction to run, and they are
// written out after the pseudo-code of SDM volume 2.

import CPrimitives

extension CPU {
    private var al: UInt8 {
        get { register(0, as: UInt8.self) }
        nonmutating set { setRegister(0, to: newValue) }
    }

    private func has(_ flag: Int) -> Bool { arithmetic & UInt64(flag) != 0 }

    /// SF, ZF and PF of a byte result, and the given AF and CF.
    private func setDecimalFlags(_ result: UInt8, adjust: Bool, carry: Bool) {
        var flags: UInt64 = 0
        _ = Test.apply(result, result, &flags)
        flags &= ~UInt64(TZ_FLAG_AF | TZ_FLAG_CF)
        arithmetic = flags | (adjust ? UInt64(TZ_FLAG_AF) : 0) | (carry ? UInt64(TZ_FLAG_CF) : 0)
    }

    /// AAA (`subtracting` false) and AAS.
    func asciiAdjust(subtracting: Bool) {
        let adjust = al & 15 > 9 || has(TZ_FLAG_AF)
        let ax = register(0, as: UInt16.self)
        let adjusted = !adjust ? ax : subtracting ? ax &- 0x106 : ax &+ 0x106
        setRegister(0, to: adjusted & 0xff0f)
        setDecimalFlags(al, adjust: adjust, carry: adjust)
    }

    /// AAM: AL in base `base`, digits in AH and AL.
    func asciiAdjustAfterMultiply(base: UInt8) throws(GuestFault) {
        guard base != 0 else { throw .divideError }
        setRegister(0, to: UInt16(al / base) << 8 | UInt16(al % base))
        setDecimalFlags(al, adjust: false, carry: false)
    }

    /// AAD: the digits in AH and AL become a number in AL.
    func asciiAdjustBeforeDivide(base: UInt8) {
        let sum = al &+ register(1, as: UInt8.self) &* base
        setRegister(0, to: UInt16(sum))
        setDecimalFlags(sum, adjust: false, carry: false)
    }

    /// DAA (`subtracting` false) and DAS.
    func decimalAdjust(subtracting: Bool) {
        let old = al
        let oldCarry = has(TZ_FLAG_CF)
        let adjust = old & 15 > 9 || has(TZ_FLAG_AF)
        let high = old > 0x99 || oldCarry
        var value = old
        var carry = high
        if adjust {
            value = subtracting ? value &- 6 : value &+ 6
            if subtracting && old < 6 { carry = true }
        }
        if high { value = subtracting ? value &- 0x60 : value &+ 0x60 }
        al = value
        setDecimalFlags(value, adjust: adjust, carry: carry)
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
