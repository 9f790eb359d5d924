// Where the arithmetic flags have to be saved before an access: not where nothing will read them, and an instruction that
// faults in their place could have them worked out again from the registers.
//
// A fault shows the guest its flags even where the program never reads them. But most flags come from an addition or
// a comparison whose operands or result are still there: `FlagRecipe` says how to get them back. Only flags that neither
// a recipe nor the program's own need keeps alive may be lost to the check of an access.

import CPrimitives
import X86

/// How the flags of an earlier operation follow from registers as they are.
struct FlagRecipe {
    /// The operation that wrote them, by its place in the block.
    var producer: Int
    /// The registers that it needs unchanged.
    var registers: UInt16

    /// The recipe for the flags of an operation, right after it; nil if there is none.
    init?(_ operations: [Operation], _ producer: Int) {
        let operation = operations[producer]
        let i = operation.instruction
        guard operation.kind == .compute, !operation.isNative, operation.flags == .writes,
            i.pointee.rm & 7 == 0,
            let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic), let form = OperandForm(rawValue: i.pointee.form),
            !form.namesRegister || i.pointee.reg & 7 == 0
        else { return nil }
        self.producer = producer
        let rm: UInt16 = 1 << UInt16(i.pointee.rm / 8)
        let reg: UInt16 = form.namesRegister ? 1 << UInt16(i.pointee.reg / 8) : 0
        guard form == .rm || form == .rm_i || form == .rm_r || form == .r_rm else { return nil }
        switch mnemonic {
        case .cmp, .test: registers = rm | reg
        // The result is enough.
        case .and, .or, .xor, .neg: registers = form == .r_rm ? reg : rm
        // The other operand gives back what the destination was; of a sum with itself the result is not enough.
        case .add, .sub:
            guard rm != reg else { return nil }
            registers = rm | reg
        default: return nil
        }
    }
}

/// Decides, for each operation of a block, whether its flags must be kept.
struct FlagPlan {
    /// Sets `keepsFlags` of every operation.
    static func apply(to operations: inout [Operation]) {
        markRecoverable(&operations)
        var needed = true
        for index in operations.indices.reversed() {
            if operations[index].flags == .writes { needed = false }
            if operations[index].flags.needsFlags { needed = true }
            // Interrupts show the guest its flags too.
            let isSeen = operations[index].mayFault || index > 0 && operations[index - 1].pollsAfter
            if isSeen, !operations[index].flagsAreRecoverable { needed = true }
            operations[index].keepsFlags = needed
        }
    }

    /// Sets `flagsAreRecoverable`: the flags before the operation follow from the registers before it.
    private static func markRecoverable(_ operations: inout [Operation]) {
        var recipe: FlagRecipe?
        for index in operations.indices {
            operations[index].flagsAreRecoverable = recipe != nil
            if let known = recipe, known.registers & operations[index].changedRegisters != 0 { recipe = nil }
            if operations[index].flags.changesFlags { recipe = FlagRecipe(operations, index) }
        }
    }

    /// The recipe for the flags before the operation at `index`; nil if they can't be worked out.
    static func recipe(before index: Int, in operations: [Operation]) -> FlagRecipe? {
        guard let producer = operations[..<index].lastIndex(where: { $0.flags.changesFlags }),
            let recipe = FlagRecipe(operations, producer)
        else { return nil }
        let changed = operations[(producer + 1)..<index].reduce(0) { $0 | $1.changedRegisters }
        return changed & recipe.registers == 0 ? recipe : nil
    }
}
