// Flags that nobody has kept may still follow from registers: those of a comparison from its operands, those of an addition
// from its result and the other operand.

import CPrimitives
import X86

/// How the flags of an earlier operation follow from registers as they are.
struct FlagRecipe {
    /// What CF follows from.
    enum Carry: Equatable {
        case own
        /// The flags of an operation before the producer, an INC or DEC, which left it alone.
        case of(Int)
        /// What it was at the beginning of the trace.
        case inherited
        case unknown
    }

    /// The operation that wrote the flags, by its place in the trace; -1 for those at its beginning.
    let producer: Int
    let carry: Carry
    /// The registers that must be unchanged, and those of them that CF needs.
    let registers: UInt16
    private let carryRegisters: UInt16
    /// The producer added to the stack pointer, or subtracted from it: which way that goes is known.
    private let followsStack: Bool
    /// How many bytes it has moved since.
    private(set) var stackMoved: Int32 = 0

    /// The recipe for the flags of an operation, right after it; nil if there is none. `previous` is the one after the operation
    /// before it.
    private init?(_ operation: Operation, at producer: Int, _ previous: FlagRecipe?) {
        let i = operation.instruction
        guard operation.kind == .compute, !operation.isNative, i.pointee.rm & 7 == 0,
            let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic), let form = OperandForm(rawValue: i.pointee.form),
            !form.namesRegister || i.pointee.reg & 7 == 0
        else { return nil }
        var takesImmediate = false
        var changesReg = false
        switch form {
        case .rm, .rm_r: break
        case .rm_i: takesImmediate = true
        case .r_rm: changesReg = true
        default: return nil
        }
        self.producer = producer
        let rm: UInt16 = 1 << UInt16(i.pointee.rm / 8)
        let reg: UInt16 = form.namesRegister ? 1 << UInt16(i.pointee.reg / 8) : 0
        followsStack =
            takesImmediate && mnemonic.addsOrSubtracts && rm == 1 << 4 && i.pointee.width == 8 && !operation.isLegacy
        switch mnemonic {
        case .cmp, .test: registers = rm | reg
        // The result is enough.
        case .and, .or, .xor, .neg: registers = changesReg ? reg : rm
        // The other operand gives back what the destination was; of a sum with itself the result is not enough.
        case .add, .sub:
            guard rm != reg else { return nil }
            registers = rm | reg
        case .inc, .dec:
            switch previous?.carry {
            case .own?: carry = previous.map { .of($0.producer) } ?? .unknown
            case .unknown?, nil: carry = .unknown
            case let other?: carry = other
            }
            carryRegisters = carry == .unknown ? 0 : previous?.carryRegisters ?? 0
            registers = rm | carryRegisters
            return
        default: return nil
        }
        carry = .own
        carryRegisters = registers
    }

    private init() {
        producer = -1
        carry = .inherited
        registers = 0
        carryRegisters = 0
        followsStack = false
    }

    /// The recipe at the beginning of a trace that inherits its flags.
    static let inherited = FlagRecipe()

    /// The flags follow from registers.
    var isKnown: Bool { carry != .unknown }

    /// What becomes of a recipe behind an operation.
    static func follow(_ recipe: FlagRecipe?, _ operation: Operation, at index: Int) -> FlagRecipe? {
        var known = recipe
        if let recipe, recipe.registers & operation.changedRegisters != 0 { known = recipe.moved(by: operation) }
        return operation.flags.changesFlags ? FlagRecipe(operation, at: index, known) : known
    }

    /// The recipe behind an operation that changes its registers, if that does no more than to move the stack pointer.
    private func moved(by operation: Operation) -> FlagRecipe? {
        guard followsStack, let distance = operation.stackDistance else { return nil }
        var moved = self
        moved.stackMoved += distance
        return moved
    }

    /// The recipe for the flags before the operation at `index`; nil if there is none.
    init?(before index: Int, in operations: [Operation], inherits: Bool) {
        var recipe = inherits ? Self.inherited : nil
        for n in 0..<index { recipe = Self.follow(recipe, operations[n], at: n) }
        guard let recipe else { return nil }
        self = recipe
    }
}

extension Mnemonic {
    fileprivate var addsOrSubtracts: Bool {
        switch self {
        case .add, .sub: true
        default: false
        }
    }
}
