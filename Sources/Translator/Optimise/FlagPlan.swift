// Where the arithmetic flags have to be saved before an access: not where nothing will read them, and an instruction that
// faults in their place could have them worked out again from the registers.
//
// A fault shows the guest its flags even where the program never reads them. But most flags come from an addition or
// a comparison whose operands or result are still there: `FlagRecipe` says how to get them back. Only flags that neither
// a recipe nor the program's own need keeps alive may be lost to the check of an access. The program's need does not either
// where a recipe still holds: the comparison is done once more (`BlockEncoder.emitFlagsAnew`). All of this holds for those at the
// beginning of a trace: if nothing but a fault needs them there, whoever leads to it sees to them (`Entries`).

import X86

/// Decides, for each operation of a trace, whether its flags must be kept.
struct FlagPlan {
    /// Sets `keepsFlags` of every operation, and what is known of the flags around it.
    static func apply(to operations: inout [Operation]) {
        if mayInherit(operations) {
            plan(&operations, inherits: true)
            if !operations[0].keepsFlags { return }
        }
        plan(&operations, inherits: false)
    }

    /// Whether flags may be inherited: a fault can show them before anything reads or changes them.
    private static func mayInherit(_ operations: [Operation]) -> Bool {
        for index in operations.indices {
            if operations[index].flags.needsFlags || operations[index].endsBlock { return false }
            if isSeen(at: index, operations) { return true }
            if operations[index].flags == .writes { return false }
        }
        return false
    }

    /// Something may show the guest the flags before an operation: a fault, or an interrupt.
    private static func isSeen(at index: Int, _ operations: [Operation]) -> Bool {
        operations[index].mayFault || index > 0 && operations[index - 1].pollsAfter
    }

    private static func plan(_ operations: inout [Operation], inherits: Bool) {
        follow(&operations, inherits: inherits)
        var needed = operations.last.map { leavesWithoutFlags($0) } ?? true
        for index in operations.indices.reversed() {
            if operations[index].flags == .writes { needed = false }
            if operations[index].flags.needsFlags, !operations[index].producer.isKnown { needed = true }
            if isSeen(at: index, operations), !operations[index].flagsAreRecoverable { needed = true }
            operations[index].keepsFlags = needed
        }
    }

    /// Whether flags that are not kept are missing when control leaves behind the last operation.
    private static func leavesWithoutFlags(_ last: Operation) -> Bool {
        switch last.kind {
        case .ret, .jumpIndirect, .callIndirect: !last.producer.isKnown
        default: !last.producerBehind.isKnown
        }
    }

    /// Sets what is known of the flags around each operation.
    private static func follow(_ operations: inout [Operation], inherits: Bool) {
        func producer(_ recipe: FlagRecipe?) -> FlagProducer {
            guard let recipe, recipe.carry == .own else { return .none }
            return FlagProducer(place: Int8(truncatingIfNeeded: recipe.producer), stackMoved: recipe.stackMoved)
        }
        var recipe: FlagRecipe? = inherits ? .inherited : nil
        for index in operations.indices {
            let operation = operations[index]
            let behind = FlagRecipe.follow(recipe, operation, at: index)
            let isKnown = recipe?.isKnown ?? false
            let isKnownBehind = operation.flags.changesFlags || behind?.isKnown ?? false
            operations[index].inheritsFlags = recipe?.carry == .inherited
            operations[index].flagsAreRecoverable = isKnown && (isKnownBehind || !operation.mayEndBlock)
            operations[index].producer = producer(recipe)
            operations[index].producerBehind = producer(behind)
            let leaves = operation.endsBlock || index == operations.count - 1
            operations[index].recipeRegisters = leaves && behind?.producer ?? -1 >= 0 ? behind?.registers ?? 0 : 0
            operations[index].recipeLacksCarry = leaves && (behind?.carry == .unknown || behind?.carry == .inherited)
            recipe = behind
        }
    }

    /// The registers that may have changed at the last place where inherited flags may be seen.
    static func headRegisters(_ operations: [Operation]) -> UInt16 {
        var changed: UInt16 = 0
        var seen: UInt16 = 0
        for index in operations.indices {
            guard operations[index].inheritsFlags else { break }
            if isSeen(at: index, operations) { seen = changed }
            changed |= operations[index].changedRegisters
            if operations[index].mayEndBlock { seen = changed }
        }
        return seen
    }
}
