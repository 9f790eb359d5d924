// The host's ALU, one Swift name per operation for all operand widths. Each runs the guest's very instruction through
// `alu.h`, so results and flags are the host CPU's wherever the manuals leave them open.

import CPrimitives

/// destination ← destination OP source, with flags in LAHF and SETO format.
protocol BinaryOperation {
    /// False for CMP, TEST and BT, which only set flags.
    static var writesResult: Bool { get }
    static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T
}

extension BinaryOperation {
    @inline(__always) static var writesResult: Bool { true }
}

/// operand ← OP operand.
protocol UnaryOperation {
    static func apply<T: GuestInteger>(_ a: T, _ flags: inout UInt64) -> T
}

/// operand ← operand shifted or rotated by a count, which the instruction masks itself.
protocol ShiftOperation {
    static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T
}

/// operand ← operand shifted by a count, filled from another.
protocol DoubleShiftOperation {
    static func apply<T: GuestInteger>(_ a: T, _ filler: T, _ count: UInt8, _ flags: inout UInt64) -> T
}

/// high:low ← low × factor, or low, high ← quotient and remainder of high:low ÷ divisor.
protocol WideOperation {
    /// `result.valid` is false for #DE.
    static func apply<T: GuestInteger>(_ low: T, _ high: T, _ operand: T, _ flags: UInt64) -> tz_wide_result
}

/// destination ← a count or position of bits in source. Works on whole destination registers, since what becomes of one
/// when the source is 0 is the host's answer too.
protocol ScanOperation {
    static func apply<T: GuestInteger>(_ destination: UInt64, _ source: T, _ flags: inout UInt64) -> UInt64
}

// MARK: Choosing the C function of a width, at compile time

extension tz_result {
    @inline(__always) func unpack<T: GuestInteger>(_ type: T.Type, _ flags: inout UInt64) -> T {
        flags = self.flags
        return T(truncatingIfNeeded: value)
    }
}

@inline(__always) private func binary<T: GuestInteger>(
    _ a: T, _ b: T, _ flags: inout UInt64,
    _ bits8: (UInt8, UInt8, UInt64) -> tz_result, _ bits16: (UInt16, UInt16, UInt64) -> tz_result,
    _ bits32: (UInt32, UInt32, UInt64) -> tz_result, _ bits64: (UInt64, UInt64, UInt64) -> tz_result
) -> T {
    let result =
        switch MemoryLayout<T>.size {
        case 1: bits8(UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b), flags)
        case 2: bits16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), flags)
        case 4: bits32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), flags)
        default: bits64(UInt64(truncatingIfNeeded: a), UInt64(truncatingIfNeeded: b), flags)
        }
    return result.unpack(T.self, &flags)
}

/// Of operations that have no byte form.
@inline(__always) private func wideBinary<T: GuestInteger>(
    _ a: T, _ b: T, _ flags: inout UInt64, _ bits16: (UInt16, UInt16, UInt64) -> tz_result,
    _ bits32: (UInt32, UInt32, UInt64) -> tz_result, _ bits64: (UInt64, UInt64, UInt64) -> tz_result
) -> T {
    let result =
        switch MemoryLayout<T>.size {
        case 1, 2: bits16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), flags)
        case 4: bits32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), flags)
        default: bits64(UInt64(truncatingIfNeeded: a), UInt64(truncatingIfNeeded: b), flags)
        }
    return result.unpack(T.self, &flags)
}

@inline(__always) private func unary<T: GuestInteger>(
    _ a: T, _ flags: inout UInt64,
    _ bits8: (UInt8, UInt64) -> tz_result, _ bits16: (UInt16, UInt64) -> tz_result,
    _ bits32: (UInt32, UInt64) -> tz_result, _ bits64: (UInt64, UInt64) -> tz_result
) -> T {
    let result =
        switch MemoryLayout<T>.size {
        case 1: bits8(UInt8(truncatingIfNeeded: a), flags)
        case 2: bits16(UInt16(truncatingIfNeeded: a), flags)
        case 4: bits32(UInt32(truncatingIfNeeded: a), flags)
        default: bits64(UInt64(truncatingIfNeeded: a), flags)
        }
    return result.unpack(T.self, &flags)
}

@inline(__always) private func shift<T: GuestInteger>(
    _ a: T, _ count: UInt8, _ flags: inout UInt64,
    _ bits8: (UInt8, UInt8, UInt64) -> tz_result, _ bits16: (UInt16, UInt8, UInt64) -> tz_result,
    _ bits32: (UInt32, UInt8, UInt64) -> tz_result, _ bits64: (UInt64, UInt8, UInt64) -> tz_result
) -> T {
    let result =
        switch MemoryLayout<T>.size {
        case 1: bits8(UInt8(truncatingIfNeeded: a), count, flags)
        case 2: bits16(UInt16(truncatingIfNeeded: a), count, flags)
        case 4: bits32(UInt32(truncatingIfNeeded: a), count, flags)
        default: bits64(UInt64(truncatingIfNeeded: a), count, flags)
        }
    return result.unpack(T.self, &flags)
}

@inline(__always) private func doubleShift<T: GuestInteger>(
    _ a: T, _ b: T, _ count: UInt8, _ flags: inout UInt64, _ bits16: (UInt16, UInt16, UInt8, UInt64) -> tz_result,
    _ bits32: (UInt32, UInt32, UInt8, UInt64) -> tz_result, _ bits64: (UInt64, UInt64, UInt8, UInt64) -> tz_result
) -> T {
    let result =
        switch MemoryLayout<T>.size {
        case 1, 2: bits16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), count, flags)
        case 4: bits32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), count, flags)
        default: bits64(UInt64(truncatingIfNeeded: a), UInt64(truncatingIfNeeded: b), count, flags)
        }
    return result.unpack(T.self, &flags)
}

@inline(__always) private func scan<T: GuestInteger>(
    _ destination: UInt64, _ source: T, _ flags: inout UInt64, _ bits16: (UInt64, UInt16, UInt64) -> tz_result,
    _ bits32: (UInt64, UInt32, UInt64) -> tz_result, _ bits64: (UInt64, UInt64, UInt64) -> tz_result
) -> UInt64 {
    let result =
        switch MemoryLayout<T>.size {
        case 1, 2: bits16(destination, UInt16(truncatingIfNeeded: source), flags)
        case 4: bits32(destination, UInt32(truncatingIfNeeded: source), flags)
        default: bits64(destination, UInt64(truncatingIfNeeded: source), flags)
        }
    return result.unpack(UInt64.self, &flags)
}

// ADCX and ADOX have 32 and 64 bits only; the decoder produces no other width.
@inline(__always) private func unusedWidth(_ a: UInt16, _ b: UInt16, _ flags: UInt64) -> tz_result {
    tz_result(value: UInt64(a), flags: flags)
}

// MARK: The operations

enum Add: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_add8, tz_add16, tz_add32, tz_add64)
    }
}

enum Or: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_or8, tz_or16, tz_or32, tz_or64)
    }
}

enum Adc: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_adc8, tz_adc16, tz_adc32, tz_adc64)
    }
}

enum Sbb: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_sbb8, tz_sbb16, tz_sbb32, tz_sbb64)
    }
}

enum And: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_and8, tz_and16, tz_and32, tz_and64)
    }
}

enum Sub: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_sub8, tz_sub16, tz_sub32, tz_sub64)
    }
}

enum Xor: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_xor8, tz_xor16, tz_xor32, tz_xor64)
    }
}

/// SUB without a result.
enum Cmp: BinaryOperation {
    @inline(__always) static var writesResult: Bool { false }
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_sub8, tz_sub16, tz_sub32, tz_sub64)
    }
}

/// AND without a result.
enum Test: BinaryOperation {
    @inline(__always) static var writesResult: Bool { false }
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        binary(a, b, &flags, tz_and8, tz_and16, tz_and32, tz_and64)
    }
}

enum Imul2: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        wideBinary(a, b, &flags, tz_imul16, tz_imul32, tz_imul64)
    }
}

enum Adcx: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        wideBinary(a, b, &flags, unusedWidth, tz_adcx32, tz_adcx64)
    }
}

enum Adox: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        wideBinary(a, b, &flags, unusedWidth, tz_adox32, tz_adox64)
    }
}

enum Bt: BinaryOperation {
    @inline(__always) static var writesResult: Bool { false }
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        wideBinary(a, b, &flags, tz_bt16, tz_bt32, tz_bt64)
    }
}

enum Bts: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        wideBinary(a, b, &flags, tz_bts16, tz_bts32, tz_bts64)
    }
}

enum Btr: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        wideBinary(a, b, &flags, tz_btr16, tz_btr32, tz_btr64)
    }
}

enum Btc: BinaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ b: T, _ flags: inout UInt64) -> T {
        wideBinary(a, b, &flags, tz_btc16, tz_btc32, tz_btc64)
    }
}

enum Inc: UnaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ flags: inout UInt64) -> T {
        unary(a, &flags, tz_inc8, tz_inc16, tz_inc32, tz_inc64)
    }
}

enum Dec: UnaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ flags: inout UInt64) -> T {
        unary(a, &flags, tz_dec8, tz_dec16, tz_dec32, tz_dec64)
    }
}

enum Neg: UnaryOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ flags: inout UInt64) -> T {
        unary(a, &flags, tz_neg8, tz_neg16, tz_neg32, tz_neg64)
    }
}

enum Rol: ShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T {
        shift(a, count, &flags, tz_rol8, tz_rol16, tz_rol32, tz_rol64)
    }
}

enum Ror: ShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T {
        shift(a, count, &flags, tz_ror8, tz_ror16, tz_ror32, tz_ror64)
    }
}

enum Rcl: ShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T {
        shift(a, count, &flags, tz_rcl8, tz_rcl16, tz_rcl32, tz_rcl64)
    }
}

enum Rcr: ShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T {
        shift(a, count, &flags, tz_rcr8, tz_rcr16, tz_rcr32, tz_rcr64)
    }
}

enum Shl: ShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T {
        shift(a, count, &flags, tz_shl8, tz_shl16, tz_shl32, tz_shl64)
    }
}

enum Shr: ShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T {
        shift(a, count, &flags, tz_shr8, tz_shr16, tz_shr32, tz_shr64)
    }
}

enum Sar: ShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ count: UInt8, _ flags: inout UInt64) -> T {
        shift(a, count, &flags, tz_sar8, tz_sar16, tz_sar32, tz_sar64)
    }
}

enum Shld: DoubleShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ filler: T, _ count: UInt8, _ flags: inout UInt64)
        -> T
    {
        doubleShift(a, filler, count, &flags, tz_shld16, tz_shld32, tz_shld64)
    }
}

enum Shrd: DoubleShiftOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ a: T, _ filler: T, _ count: UInt8, _ flags: inout UInt64)
        -> T
    {
        doubleShift(a, filler, count, &flags, tz_shrd16, tz_shrd32, tz_shrd64)
    }
}

enum Bsf: ScanOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ destination: UInt64, _ source: T, _ flags: inout UInt64)
        -> UInt64
    {
        scan(destination, source, &flags, tz_bsf16, tz_bsf32, tz_bsf64)
    }
}

enum Bsr: ScanOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ destination: UInt64, _ source: T, _ flags: inout UInt64)
        -> UInt64
    {
        scan(destination, source, &flags, tz_bsr16, tz_bsr32, tz_bsr64)
    }
}

enum Popcnt: ScanOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ destination: UInt64, _ source: T, _ flags: inout UInt64)
        -> UInt64
    {
        scan(destination, source, &flags, tz_popcnt16, tz_popcnt32, tz_popcnt64)
    }
}

enum Lzcnt: ScanOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ destination: UInt64, _ source: T, _ flags: inout UInt64)
        -> UInt64
    {
        scan(destination, source, &flags, tz_lzcnt16, tz_lzcnt32, tz_lzcnt64)
    }
}

enum Tzcnt: ScanOperation {
    @inline(__always) static func apply<T: GuestInteger>(_ destination: UInt64, _ source: T, _ flags: inout UInt64)
        -> UInt64
    {
        scan(destination, source, &flags, tz_tzcnt16, tz_tzcnt32, tz_tzcnt64)
    }
}

enum Mul: WideOperation {
    @inline(__always)
    static func apply<T: GuestInteger>(_ low: T, _ high: T, _ operand: T, _ flags: UInt64) -> tz_wide_result {
        switch MemoryLayout<T>.size {
        case 1: tz_mul8(UInt8(truncatingIfNeeded: low), UInt8(truncatingIfNeeded: operand), flags)
        case 2: tz_mul16(UInt16(truncatingIfNeeded: low), UInt16(truncatingIfNeeded: operand), flags)
        case 4: tz_mul32(UInt32(truncatingIfNeeded: low), UInt32(truncatingIfNeeded: operand), flags)
        default: tz_mul64(UInt64(truncatingIfNeeded: low), UInt64(truncatingIfNeeded: operand), flags)
        }
    }
}

enum Imul: WideOperation {
    @inline(__always)
    static func apply<T: GuestInteger>(_ low: T, _ high: T, _ operand: T, _ flags: UInt64) -> tz_wide_result {
        switch MemoryLayout<T>.size {
        case 1: tz_imul_wide8(UInt8(truncatingIfNeeded: low), UInt8(truncatingIfNeeded: operand), flags)
        case 2: tz_imul_wide16(UInt16(truncatingIfNeeded: low), UInt16(truncatingIfNeeded: operand), flags)
        case 4: tz_imul_wide32(UInt32(truncatingIfNeeded: low), UInt32(truncatingIfNeeded: operand), flags)
        default: tz_imul_wide64(UInt64(truncatingIfNeeded: low), UInt64(truncatingIfNeeded: operand), flags)
        }
    }
}

enum Div: WideOperation {
    @inline(__always)
    static func apply<T: GuestInteger>(_ low: T, _ high: T, _ operand: T, _ flags: UInt64) -> tz_wide_result {
        switch MemoryLayout<T>.size {
        case 1:
            tz_div8(
                UInt8(truncatingIfNeeded: low), UInt8(truncatingIfNeeded: high), UInt8(truncatingIfNeeded: operand),
                flags)
        case 2:
            tz_div16(
                UInt16(truncatingIfNeeded: low), UInt16(truncatingIfNeeded: high), UInt16(truncatingIfNeeded: operand),
                flags)
        case 4:
            tz_div32(
                UInt32(truncatingIfNeeded: low), UInt32(truncatingIfNeeded: high), UInt32(truncatingIfNeeded: operand),
                flags)
        default:
            tz_div64(
                UInt64(truncatingIfNeeded: low), UInt64(truncatingIfNeeded: high), UInt64(truncatingIfNeeded: operand),
                flags)
        }
    }
}

enum Idiv: WideOperation {
    @inline(__always)
    static func apply<T: GuestInteger>(_ low: T, _ high: T, _ operand: T, _ flags: UInt64) -> tz_wide_result {
        switch MemoryLayout<T>.size {
        case 1:
            tz_idiv8(
                UInt8(truncatingIfNeeded: low), UInt8(truncatingIfNeeded: high), UInt8(truncatingIfNeeded: operand),
                flags)
        case 2:
            tz_idiv16(
                UInt16(truncatingIfNeeded: low), UInt16(truncatingIfNeeded: high), UInt16(truncatingIfNeeded: operand),
                flags)
        case 4:
            tz_idiv32(
                UInt32(truncatingIfNeeded: low), UInt32(truncatingIfNeeded: high), UInt32(truncatingIfNeeded: operand),
                flags)
        default:
            tz_idiv64(
                UInt64(truncatingIfNeeded: low), UInt64(truncatingIfNeeded: high), UInt64(truncatingIfNeeded: operand),
                flags)
        }
    }
}
