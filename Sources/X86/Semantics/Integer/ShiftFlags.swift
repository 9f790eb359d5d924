// What the manuals leave open of a shift's flags is the host's choice (AF, and OF for counts above 1): a host might set them by
// some rule of its own, or leave them as they were. All that are known set them.

import CPrimitives

/// Whether the flags that shifts leave say anything of the flags before them.
package enum ShiftFlags {
    private static let all = UInt64(
        TZ_FLAG_OF | TZ_FLAG_CF | TZ_FLAG_PF | TZ_FLAG_AF | TZ_FLAG_ZF | TZ_FLAG_SF)

    /// Shifts of the host by a count of 1 to the operand's width minus 1 leave no flag as it was: found by trying them.
    package static let areReplaced: Bool = {
        let values: [UInt64] = [
            0, 1, .max, 1 << 63, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 0x8080_8080_8080_8080,
        ]
        for value in values {
            for count: UInt8 in 1..<64 {
                guard replaceFlags(value, count) else { return false }
                if count < 32, !replaceFlags(UInt32(truncatingIfNeeded: value), count) { return false }
                if count < 16, !replaceFlags(UInt16(truncatingIfNeeded: value), count) { return false }
                if count < 8, !singleShiftsReplaceFlags(UInt8(truncatingIfNeeded: value), count) { return false }
            }
        }
        return true
    }()

    private static func singleShiftsReplaceFlags<T: GuestInteger>(_ value: T, _ count: UInt8) -> Bool {
        replacesFlags { _ = Shl.apply(value, count, &$0) } && replacesFlags { _ = Shr.apply(value, count, &$0) }
            && replacesFlags { _ = Sar.apply(value, count, &$0) }
    }

    private static func replaceFlags<T: GuestInteger>(_ value: T, _ count: UInt8) -> Bool {
        singleShiftsReplaceFlags(value, count)
            && replacesFlags { _ = Shld.apply(value, ~value, count, &$0) }
            && replacesFlags { _ = Shrd.apply(value, ~value, count, &$0) }
    }

    private static func replacesFlags(_ shift: (inout UInt64) -> Void) -> Bool {
        var none: UInt64 = 0
        var every = all
        shift(&none)
        shift(&every)
        return (none ^ every) & all == 0
    }
}
