// The translator's intermediate representation: a block as a list of operations, one for each guest instruction. An
// operation says how the instruction is to be put into host code and what the passes and the encoder must know of it; its
// operands stay in the decoded instruction.

import CPrimitives
import X86

/// What an instruction does to the arithmetic flags.
enum FlagUse: UInt8 {
    case none
    case reads
    /// Writes all six, whatever they were.
    case writes
    /// Reads some, or leaves some as they were, or leaves some to the host CPU's choice.
    case readsAndWrites
    /// Writes some, and what it reads or leaves as it was goes into flags alone: it needs those before only if somebody
    /// needs those behind.
    case mixes

    var needsFlags: Bool {
        switch self {
        case .reads, .readsAndWrites: true
        case .none, .writes, .mixes: false
        }
    }
    var changesFlags: Bool {
        switch self {
        case .none, .reads: false
        case .writes, .readsAndWrites, .mixes: true
        }
    }
}

/// The operation from whose registers flags can be made anew.
struct FlagProducer {
    /// Its place in the trace; -1 if there is none.
    var place: Int8
    /// How many bytes the stack pointer, where that is its register, has moved since.
    var stackMoved: Int32

    static let none = FlagProducer(place: -1, stackMoved: 0)
    var isKnown: Bool { place >= 0 }
}

/// One guest instruction in a block.
struct Operation {
    enum Kind: UInt8, CaseIterable {
        /// Does nothing.
        case nothing
        /// Copied, its operands in registers.
        case compute
        /// Copied, with its memory operand at a host address.
        case access
        /// Copied, element by element.
        case gather
        case lea
        case push, pushFlags, pop, leave
        case clearInterrupts, setInterrupts, swapGS
        case jump, jumpIf, call, ret, jumpIndirect, callIndirect
        /// REP MOVS and REP STOS: a gate of their own executes them, or else the handler.
        case move, store
        /// The interpreter's handler executes it.
        case step
        /// The same, and the block ends.
        case stepAndLeave
        /// A gate of their own executes them, or else the handler; the block ends.
        case systemCall, systemReturn
    }

    var kind: Kind
    var flags = FlagUse.none
    /// Bytes of the memory operand.
    var size: UInt8 = 0
    /// The memory operand is written.
    var writes = false
    /// From the allow-list of native instructions, with a row there.
    var isNative = false
    /// Vector registers that must be in the host's registers.
    var usesSSE = false
    var usesAVX = false
    /// The same for x87 and MMX registers.
    var usesX87 = false
    /// An x87 instruction that leaves its address, opcode and operand's address in the x87 state.
    var isX87 = false
    /// One on the control or status word, which leaves nothing.
    var isX87Control = false
    /// The host may raise a signal on it where the guest's fault is due.
    var maySignal = false
    /// DIV or IDIV
    var divides = false
    /// The operand, or what the stack pointer or frame pointer points to, lies in a segment whose limit has to be checked and
    /// whose base has to be added.
    var checksSegment = false
    var checksStack = false
    /// The instruction follows one that may have let interrupts in: whether any waits is looked at after it.
    var pollsAfter = false
    /// The flags before the operation follow from registers, by the `FlagRecipe` of an operation before it; those behind too,
    /// if it writes memory and leaves flags alone.
    var flagsAreRecoverable = false
    /// The flags before the operation, or CF alone, are those at the beginning of its trace, which follow from registers by the
    /// recipe of whatever led there, or are in the state (`FlagPlan`).
    var inheritsFlags = false
    /// From what the flags before and behind this one can be made anew.
    var producer = FlagProducer.none
    var producerBehind = FlagProducer.none
    /// If control may leave the trace behind the operation: the registers from which flags follow then; 0 if they don't.
    var recipeRegisters: UInt16 = 0
    /// CF does not follow from them.
    var recipeLacksCarry = false
    /// The flags before the operation must survive what it does to memory (`FlagPlan`).
    var keepsFlags = true
    /// The operation's access (that to the stack, if it has two) shares a probe with others (`ProbePlan`).
    var shared: SharedProbe?
    /// The slot of the micro-TLB that the probe for the operand tries first (`MicroTLBPlan`).
    var microSlot: UInt8?
    /// The general registers that may differ afterwards, by their numbers (`RegisterUse.swift`).
    var changedRegisters: UInt16 = 0
    /// Offset of the instruction from the page in which its block begins.
    var offset: Int32
    let instruction: UnsafeMutablePointer<tz_instruction>
    /// The block that the operation begins, if it is not the first of its trace.
    var begins: UnsafeMutablePointer<Block>?
    /// How many instructions of the block come from here on, this one included.
    var remaining: UInt8 = 0

    /// Outside 64-bit mode.
    var isLegacy: Bool { instruction.pointee.flags & UInt8(TZ_INSN_CHECKED) != 0 }
    /// The instruction is MOV between the accumulator and an address that it contains.
    var isAbsoluteMove: Bool {
        let mnemonic = instruction.pointee.mnemonic
        return mnemonic == Mnemonic.movLoadAbsolute.rawValue || mnemonic == Mnemonic.movStoreAbsolute.rawValue
    }
    /// Whether it is a direct branch whose target is so far from its page, in bytes.
    func leads(beyond distance: Int64) -> Bool {
        switch kind {
        case .jump, .jumpIf, .call: break
        default: return false
        }
        let target = Int64(next) + instruction.pointee.immediate
        return target > distance || target < -distance
    }
    /// Offset of the next instruction.
    var next: Int32 { offset + Int32(instruction.pointee.length) }
    /// Whether a fault may show the guest the flags that the operation found.
    var mayFault: Bool {
        switch kind {
        case .access, .gather, .push, .pushFlags, .pop, .leave, .call, .ret, .jumpIndirect, .callIndirect: true
        default: maySignal
        }
    }
    /// It may overwrite code, behind which generated code is left.
    var mayEndBlock: Bool {
        switch kind {
        case .push, .pushFlags, .call, .callIndirect: true
        default: writes
        }
    }
    /// The flags before the operation must be in the host's for it.
    var takesFlags: Bool { flags.needsFlags || flags == .mixes && keepsFlags }
    /// A native instruction whose memory operand is written and not read.
    var storesAlone: Bool {
        guard isNative, writes else { return false }
        return !NativeTable.shared.rows[Int(instruction.pointee.row)].rm.reads
    }
    /// Of the flags before it needs CF alone: INC and DEC.
    var takesCarryAlone: Bool {
        guard kind == .compute, !isNative else { return false }
        switch Mnemonic(rawValue: instruction.pointee.mnemonic) {
        case .inc, .dec: return true
        default: return false
        }
    }
    /// Its gate takes flags from the state.
    var takesSavedFlags: Bool { kind == .systemCall || kind == .systemReturn }
    /// A handler executes it.
    var isStep: Bool {
        switch kind {
        case .move, .store, .step, .stepAndLeave, .systemCall, .systemReturn: true
        default: false
        }
    }
    /// Whether control does not go on to the next instruction by itself.
    var endsBlock: Bool {
        switch kind {
        case .jump, .jumpIf, .call, .ret, .jumpIndirect, .callIndirect, .stepAndLeave, .systemCall,
            .systemReturn:
            true
        default: false
        }
    }
}
