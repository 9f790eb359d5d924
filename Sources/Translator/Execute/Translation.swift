// What the translator keeps of a block that it has translated, and of the jumps between such blocks.

import CPrimitives
import X86

/// A translated trace.
struct Translation {
    var trace: Trace
    /// Its first block, which it belongs to.
    var block: UnsafeMutablePointer<Block> { trace[0] }
    /// Where other code jumps to.
    var entries: Entries
    var gates: OpenGates
    /// What it changes before the last place that shows inherited flags.
    var headRegisters: UInt16
    /// The same for its landing; all if that takes flags from the state alone.
    var landingRegisters: UInt32
    /// Where indirect jumps enter: R13 names the entry of the jump table, `flag_source` says where the flags are.
    var landing: UnsafeMutablePointer<UInt8>
    /// The end of its code; it begins at `landing`.
    var end: UnsafeMutablePointer<UInt8>
    /// Head of the list of links that lead here; -1 ends it.
    var firstIncoming: Int32 = -1
    /// Where its page was last found.
    var page: UnsafeMutablePointer<tz_code_page>

    var mode: BlockMode { BlockMode(block.pointee.mode) }
    /// Where in its page it begins.
    var offset: UInt32 { UInt32(truncatingIfNeeded: block.pointee.address & 0xfff) }
    var isUser: Bool { mode.isUser }
    /// From the first byte of its code to the last.
    var span: UInt64 { trace.end - block.pointee.address }
}

/// A direct jump out of a block, to another block or, while it is not linked, to the dispatcher; or a lookup, which is kept for
/// the flags that follow from it.
struct Link {
    /// The displacement of the jump instruction.
    var displacement: UnsafeMutablePointer<UInt8>
    /// Where it leads while it is not linked.
    var stub: UnsafeMutablePointer<UInt8>
    /// The target's offset in its page.
    var target: Int16
    /// Where the flags are.
    var flags: EdgeFlags
    /// The stub has become a way to the destination that stores the source of its flags.
    var bequeaths = false
    /// The target lies in another page than the source, or the source is 16-bit code, whose targets wrap: linked only while
    /// addresses lead where they led.
    var isMobile: Bool
    /// Looked up until it was taken often, and then linked.
    var isFollowed: Bool
    /// The width in bits that the target's RIP is truncated to.
    var ripWidth: UInt8
    /// The gates that its source has opened.
    var gates: OpenGates
    /// The block it leads to, and the next link that leads there.
    var destination: UnsafeMutablePointer<Translation>?
    var nextIncoming: Int32 = -1
    var previousIncoming: Int32 = -1

    /// What the target's RIP is truncated to.
    var mask: UInt64 { .max >> UInt64(64 - ripWidth) }

    /// How `flag_source` names a link.
    static func source(_ number: Int) -> UInt32 { UInt32(truncatingIfNeeded: number + 1) }
}

/// A place in generated code at which a signal may stop it.
struct Site {
    /// Offset in code memory.
    var host: UInt32
    /// Offset from `code_base` of the guest instruction that is to be executed (again).
    var offset: Int32
    /// Where the arithmetic flags are.
    var flags: FlagPlace
    /// Instructions of the block that are counted and have not retired there.
    var behind: UInt8
    /// The probe for a group has failed, and there is no code for that yet.
    var isFailedGroup: Bool
}
