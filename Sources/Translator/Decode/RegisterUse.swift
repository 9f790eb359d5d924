// Which general registers an operation may change, as a mask by register number. More than it changes is right, less is not.

import CPrimitives
import X86

extension Operation {
    /// Every general register.
    static let allRegisters: UInt16 = 0xffff

    /// What `changedRegisters` is.
    func registersChanged() -> UInt16 {
        let i = instruction
        func mask(_ offset: UInt8) -> UInt16 { 1 << UInt16(offset / 8) }
        switch kind {
        case .nothing, .clearInterrupts, .setInterrupts, .swapGS, .jump, .jumpIf, .jumpIndirect, .gather: return 0
        case .lea: return mask(i.pointee.reg)
        case .push, .pushFlags, .call, .callIndirect, .ret: return 1 << 4
        case .pop: return 1 << 4 | mask(i.pointee.rm)
        case .leave: return 1 << 4 | 1 << 5
        case .compute, .access: break
        default: return Self.allRegisters
        }
        if isNative { return changedByNative }
        var changed: UInt16 = 0
        let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic) ?? .invalid
        let form = OperandForm(rawValue: i.pointee.form) ?? .none
        switch mnemonic {
        case .mul, .imul, .div, .idiv, .cbw, .cwd, .cmpxchg8b, .cmpxchg16b: changed = 1 << 0 | 1 << 2
        case .cmpxchg, .lahf, .xchg, .fnstswAX, .movLoadAbsolute: changed = 1 << 0
        default: break
        }
        if form.namesRegister, mnemonic.writesRegister(form) { changed |= mask(i.pointee.reg) }
        if kind == .compute, mnemonic.writesRM(form) { changed |= mask(i.pointee.rm) }
        return changed
    }

    /// How many bytes an operation moves the stack pointer, if it is known to do just that to it.
    var stackDistance: Int32? {
        let i = instruction
        let width = Int32(i.pointee.width)
        switch kind {
        case .push, .pushFlags, .call, .callIndirect: return -width
        case .pop: return i.pointee.rm / 8 == 4 ? nil : width
        case .ret:
            let releases = i.pointee.form == OperandForm.i.rawValue
            return width + (releases ? Int32(i.pointee.immediate & 0xffff) : 0)
        default: return nil
        }
    }

    private var changedByNative: UInt16 {
        let row = NativeTable.shared.rows + Int(instruction.pointee.row)
        var changed: UInt16 = row.pointee.writesRCX ? 1 << 1 : 0
        func add(_ operand: NativeOperand, _ number: UInt8) {
            if operand.kind == .gpr, operand.writes { changed |= 1 << UInt16(number & 15) }
        }
        add(row.pointee.reg, instruction.pointee.reg)
        if kind == .compute { add(row.pointee.rm, instruction.pointee.rm) }
        add(row.pointee.vvvv, instruction.pointee.vvvv)
        return changed
    }
}

extension OperandForm {
    /// ModRM.reg is an operand.
    var namesRegister: Bool {
        switch self {
        case .rm_r, .r_rm, .r_rm_i, .rm_r_i, .rm_r_c: true
        default: false
        }
    }
}

extension Mnemonic {
    /// Whether an instruction that is copied writes its ModRM.reg operand.
    func writesRegister(_ form: OperandForm) -> Bool {
        switch self {
        case .xchg, .xadd: true
        case .cmp, .test: false
        default:
            switch form {
            case .r_rm, .r_rm_i: true
            default: false
            }
        }
    }

    /// Whether an instruction that is copied writes its r/m operand.
    func writesRM(_ form: OperandForm) -> Bool {
        switch self {
        case .cmp, .test, .bt, .mul, .imul, .div, .idiv: false
        default:
            switch form {
            case .none, .r_rm, .r_rm_i: false
            default: true
            }
        }
    }
}
