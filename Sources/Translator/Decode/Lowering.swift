// From decoded instructions to operations: which are copied, which change shape, and which the interpreter's handlers
// execute. Whatever is not named here is stepped, so that the translator never has to know an instruction.

import CPrimitives
import X86

/// Lowers the instructions of a block.
struct Lowering {
    let model: CPUModel

    /// The operations of a block.
    func lower(_ block: UnsafeMutablePointer<Block>, into operations: inout [Operation]) {
        operations.removeAll(keepingCapacity: true)
        append(block, to: &operations)
    }

    /// The operations of a trace.
    func lower(_ trace: Trace, into operations: inout [Operation]) {
        operations.removeAll(keepingCapacity: true)
        for index in 0..<trace.count { append(trace[index], to: &operations) }
    }

    /// Adds the operations of a block behind those of the blocks before it.
    func append(_ block: UnsafeMutablePointer<Block>, to operations: inout [Operation]) {
        let instructions = block.pointee.instructions
        let count = Int(block.pointee.count)
        let mode = BlockMode(block.pointee.mode)
        var offset = Int32(block.pointee.address & 0xfff)
        for n in 0..<count {
            var operation = lower(instructions + n, offset, mode)
            operation.remaining = UInt8(count - n)
            if n == 0, !operations.isEmpty { operation.begins = block }
            operation.pollsAfter = operations.last?.kind == .setInterrupts
            // Interrupts stay out until the instruction after STI is done: only generated code that goes on sees to that.
            if operation.kind == .setInterrupts, n == count - 1 { operation.kind = .stepAndLeave }
            operation.changedRegisters = operation.registersChanged()
            operations.append(operation)
            offset = operation.next
        }
    }

    private func lower(
        _ i: UnsafeMutablePointer<tz_instruction>, _ offset: Int32, _ mode: BlockMode
    ) -> Operation {
        let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic) ?? .invalid
        var operation = Operation(kind: .step, offset: offset, instruction: i)
        switch mnemonic {
        case .native: lowerNative(i, &operation)
        case .syscall where mode.width == 8: operation.kind = .systemCall
        case .sysret where mode.width == 8 && i.pointee.width == 8 && !mode.isUser: operation.kind = .systemReturn
        default: lowerInteger(mnemonic, i, mode, &operation)
        }
        if mode.width != 8 { lowerSegments(mode, &operation) }
        if !mode.isUser { lowerPrivileged(mnemonic, mode, &operation) }
        if operation.leads(beyond: Int64(Int32.max)) { operation.kind = .step }
        if operation.kind == .step, i.pointee.flags & UInt8(TZ_INSN_ENDS_BLOCK) != 0, !goesOn(after: mnemonic) {
            operation.kind = .stepAndLeave
        }
        if operation.isStep { operation.flags = .readsAndWrites }
        return operation
    }

    /// Instructions that end a decoded block, but after which generated code can go on unless their handler ends it: nothing
    /// that blocks depend on changes.
    private func goesOn(after mnemonic: Mnemonic) -> Bool {
        switch mnemonic {
        case .rdtsc, .rdtscp, .rdpmc, .cpuid, .in, .out, .ins, .outs, .wrfsbase, .wrgsbase: true
        default: false
        }
    }

    /// What is simple with all privileges.
    private func lowerPrivileged(_ mnemonic: Mnemonic, _ mode: BlockMode, _ operation: inout Operation) {
        switch mnemonic {
        case .cli: operation.kind = .clearInterrupts
        case .sti: operation.kind = .setInterrupts
        case .swapgs: if mode.width == 8 { operation.kind = .swapGS }
        default: break
        }
    }

    /// What segmentation asks of an instruction's accesses outside 64-bit mode.
    private func lowerSegments(_ mode: BlockMode, _ operation: inout Operation) {
        let segment = operation.instruction.pointee.segment
        let isFlat = mode.isFlat && segment <= UInt8(TZ_DS)
        // Code can't be written in protected mode, flat or not.
        operation.checksSegment = !isFlat || segment == UInt8(TZ_CS) && operation.writes
        operation.checksStack = !mode.isFlat
    }

    // MARK: Integer instructions

    private func lowerInteger(
        _ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>, _ mode: BlockMode,
        _ operation: inout Operation
    ) {
        let memory = i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0
        // As wide as the code, and therefore as its stack.
        let wide = i.pointee.width == mode.width
        let isSized = wide || mode.width != 8
        switch mnemonic {
        case .nop, .prefetch, .cldemote: operation.kind = .nothing
        case .lea: operation.kind = .lea
        case .push: if isSized { operation.kind = .push }
        case .pushf where wide && mode.width == 8:
            operation.kind = .pushFlags
            operation.flags = .reads
        case .pop: if wide || isSized && i.pointee.rm != 32, !memory { operation.kind = .pop }
        case .leave: if wide { operation.kind = .leave }
        case .jmp: if wide { operation.kind = .jump }
        case .jcc:
            if wide { operation.kind = .jumpIf }
            operation.flags = .reads
        case .call: if wide { operation.kind = .call }
        case .ret: if isSized { operation.kind = .ret }
        case .jmpIndirect: if isSized { operation.kind = .jumpIndirect }
        case .callIndirect: if isSized { operation.kind = .callIndirect }
        case .movLoadAbsolute, .movStoreAbsolute:
            guard mode.width != 8 else { return }
            operation.kind = .access
            operation.size = i.pointee.width
            if case .movStoreAbsolute = mnemonic { operation.writes = true }
        case .movs: if repeatsWithoutBase(i, mode) { operation.kind = .move }
        case .stos: if repeatsWithoutBase(i, mode) { operation.kind = .store }
        case .fnstcw, .fldcw, .fnstsw, .fnstswAX, .fwait: lowerX87Control(mnemonic, &operation)
        default:
            guard let flags = copies(mnemonic, i, memory) else { return }
            operation.kind = memory ? .access : .compute
            operation.size = memorySize(mnemonic, i)
            operation.writes = memory && writesMemory(mnemonic, i)
            // What it overwrites may be code that reads the flags.
            operation.flags = flags == .mixes && operation.writes ? .readsAndWrites : flags
            switch mnemonic {
            case .div, .idiv: (operation.divides, operation.maySignal) = (true, true)
            case .cmpxchg16b: operation.maySignal = true
            default: break
            }
        }
    }

    /// A string instruction with REP, whose addresses are in registers as they are.
    private func repeatsWithoutBase(_ i: UnsafeMutablePointer<tz_instruction>, _ mode: BlockMode) -> Bool {
        mode.width == 8 && i.pointee.flags & UInt8(TZ_INSN_REP | TZ_INSN_REPNE) != 0 && i.pointee.address_mask == .max
            && i.pointee.segment < UInt8(TZ_FS)
    }

    /// The flag use of an instruction that is copied; nil for any other.
    private func copies(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>, _ memory: Bool) -> FlagUse? {
        let form = OperandForm(rawValue: i.pointee.form) ?? .none
        // AH, CH, DH and BH can't be named beside a host register that needs REX: that of an address, or of RSP.
        let namesHighByte = form.namesRegister && i.pointee.reg & 7 != 0 || !memory && i.pointee.rm & 7 != 0
        if namesHighByte, memory || i.pointee.reg == 32 || i.pointee.rm == 32 { return nil }
        switch mnemonic {
        case .add, .sub, .and, .or, .xor, .cmp, .test, .neg: return .writes
        case .xadd, .cmpxchg: return .writes
        case .adc, .sbb, .rcl, .rcr: return .readsAndWrites
        case .inc, .dec: return .mixes
        case .mov, .movzx, .movsx, .movsxd, .xchg, .bswap, .not, .movnti: return FlagUse.none
        case .movbe: return model.has(.movbe) ? FlagUse.none : nil
        case .crc32: return model.has(.sse42) ? FlagUse.none : nil
        case .rol, .ror: return .mixes
        case .shl, .shr, .sar, .shld, .shrd: return replacesFlags(i, form) ? .writes : .mixes
        case .mul, .imul, .imul2, .div, .idiv: return .mixes
        case .cbw, .cwd: return FlagUse.none
        // With a register as bit number the memory operand is a bit string.
        case .bt, .bts, .btr, .btc: return memory && form == .rm_r ? nil : .mixes
        case .bsf, .bsr: return .mixes
        case .popcnt: return model.has(.popcnt) ? .writes : nil
        case .lzcnt: return model.has(.lzcnt) ? .mixes : nil
        case .tzcnt: return model.has(.bmi1) ? .mixes : nil
        case .adcx, .adox: return model.has(.adx) ? .readsAndWrites : nil
        case .setcc: return .reads
        case .cmovcc: return model.has(.cmov) ? .reads : nil
        case .cmpxchg8b: return model.has(.cx8) ? .readsAndWrites : nil
        case .cmpxchg16b: return model.has(.cx16) ? .readsAndWrites : nil
        case .lahf: return model.has(.lahf) ? .reads : nil
        case .sahf: return model.has(.lahf) ? .mixes : nil
        case .clc, .stc, .cmc: return .mixes
        default: return nil
        }
    }

    /// A shift leaves no flag as it was.
    private func replacesFlags(_ i: UnsafeMutablePointer<tz_instruction>, _ form: OperandForm) -> Bool {
        switch form {
        case .rm_i, .rm_r_i: break
        default: return false
        }
        let width = i.pointee.width
        let count = i.pointee.immediate & (width == 8 ? 63 : 31)
        return count > 0 && count < Int64(width) * 8 && ShiftFlags.areReplaced
    }

    private func memorySize(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>) -> UInt8 {
        switch mnemonic {
        // The decoder leaves the width of a narrower source in `row`.
        case .movzx, .movsx, .movsxd, .crc32: UInt8(truncatingIfNeeded: i.pointee.row)
        case .cmpxchg8b: 8
        case .cmpxchg16b: 16
        default: i.pointee.width
        }
    }

    private func writesMemory(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>) -> Bool {
        switch mnemonic {
        case .cmp, .test, .bt, .mul, .imul, .div, .idiv, .imul2: return false
        case .setcc, .xchg, .xadd, .cmpxchg, .cmpxchg8b, .cmpxchg16b, .movnti: return true
        default: break
        }
        switch OperandForm(rawValue: i.pointee.form) {
        case .r_rm, .r_rm_i: return false
        default: return true
        }
    }

    /// Instructions on the x87 control and status words.
    private func lowerX87Control(_ mnemonic: Mnemonic, _ operation: inout Operation) {
        guard model.has(.fpu) else { return }
        let memory = operation.instruction.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0
        operation.kind = memory ? .access : .compute
        operation.size = 2
        operation.writes = mnemonic != .fldcw
        operation.usesX87 = true
        operation.isX87Control = true
        operation.maySignal = true
    }

    // MARK: Native instructions

    private func lowerNative(_ i: UnsafeMutablePointer<tz_instruction>, _ operation: inout Operation) {
        let row = NativeTable.shared.rows + Int(i.pointee.row)
        let long = i.pointee.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0
        let memory = i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0
        guard row.pointee.isOffered(by: model.instructions, l: long), i.pointee.flags & UInt8(TZ_INSN_LOCK) == 0,
            !row.pointee.vex || row.pointee.vvvv.kind != .none || i.pointee.vvvv == 0,
            !row.pointee.nonWaiting
        else { return }
        // Outside 64-bit mode VEX.W and VEX.vvvv may have bits that mean nothing.
        if operation.isLegacy, i.pointee.rex != 0 || i.pointee.vvvv > 7 { return }
        switch row.pointee.special {
        case .none, .zeroUpper: break
        case .gather: return lowerGather(i, &operation)
        case .masked, .mxcsr: return
        }
        // The data pointer is an offset, without the segment's base.
        if row.pointee.isX87, memory, !operation.isLegacy, i.pointee.segment >= UInt8(TZ_FS) { return }
        operation.isNative = true
        operation.isX87 = row.pointee.isX87
        operation.usesX87 = row.pointee.isX87 || row.pointee.entersMMX
        operation.kind = memory ? .access : .compute
        operation.size = i.pointee.width
        operation.writes = row.pointee.rm.writes
        operation.usesSSE = row.pointee.gates.contains(.sse)
        operation.usesAVX = row.pointee.gates.contains(.avx)
        operation.maySignal = row.pointee.usesMXCSR || row.pointee.aligned || operation.usesX87
        if row.pointee.readsFlags {
            operation.flags = .readsAndWrites
        } else if row.pointee.writesFlags {
            operation.flags = .writes
        }
    }

    /// A gather, unless it loads half of a vector register.
    private func lowerGather(_ i: UnsafeMutablePointer<tz_instruction>, _ operation: inout Operation) {
        operation.size = i.pointee.width
        let gather = Gather(i)
        guard !operation.isLegacy, gather.count * gather.element >= 16 else { return }
        operation.kind = .gather
        operation.isNative = true
        operation.usesAVX = true
    }
}
