// What code depends on besides its bytes: the mode of a decoded block, as the software CPU numbers it, by its parts.

import CPrimitives

/// The mode of a block.
struct BlockMode {
    private let bits: UInt8

    init(_ mode: UInt8) { bits = mode }

    /// Default code size in bytes; 8 is 64-bit mode. Code that is translated has a stack of the same width.
    var width: UInt8 { bits & 14 }
    /// The TLB context in which it runs (`TZ_TLB_*`).
    var context: Int { Int(bits & UInt8(TZ_MODE_CONTEXT)) >> 4 }
    var isUser: Bool { context == Int(TZ_TLB_USER) }
    /// Outside 64-bit mode: ES, CS, SS and DS need no look.
    var isFlat: Bool { bits & UInt8(TZ_MODE_FLAT) != 0 }
    /// What a branch target is truncated to.
    var branchMask: UInt64 { width == 8 ? .max : width == 4 ? 0xffff_ffff : 0xffff }
}
