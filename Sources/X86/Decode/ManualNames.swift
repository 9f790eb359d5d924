// The manuals' names of decoded instructions, where `Mnemonic` and the native tables join or split what they name.

import CPrimitives

extension tz_instruction {
    /// The conditions of Jcc, SETcc and CMOVcc.
    private static let conditions = [
        "o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle",
    ]

    private var condition: String { Self.conditions[Int(opcode & 15)] }

    private func byWidth(_ word: String, _ dword: String, _ qword: String) -> String {
        width == 2 ? word : width == 4 ? dword : qword
    }

    private func string(_ name: String) -> String {
        name + (width == 1 ? "b" : width == 2 ? "w" : width == 4 ? "d" : "q")
    }

    /// Of an instruction of the opcode map.
    var manualName: String {
        let mnemonic = Mnemonic(rawValue: self.mnemonic) ?? .invalid
        switch mnemonic {
        case .jcc: return "j" + condition
        case .setcc: return "set" + condition
        case .cmovcc: return "cmov" + condition
        case .imul2: return "imul"
        case .cbw: return byWidth("cbw", "cwde", "cdqe")
        case .cwd: return byWidth("cwd", "cdq", "cqo")
        case .movLoadAbsolute, .movStoreAbsolute, .movFromSegment, .movToSegment, .movFromCR, .movToCR, .movFromDR,
            .movToDR:
            return "mov"
        case .pushSegment: return "push"
        case .popSegment: return "pop"
        case .callIndirect, .callFar, .callFarIndirect: return "call"
        case .jmpIndirect, .jmpFar, .jmpFarIndirect: return "jmp"
        case .retFar: return "ret"
        case .jcxz: return address_mask == 0xffff ? "jcxz" : address_mask == 0xffff_ffff ? "jecxz" : "jrcxz"
        case .movs, .cmps, .stos, .lods, .scas, .ins, .outs: return string("\(mnemonic)")
        case .pusha: return byWidth("pusha", "pushad", "")
        case .popa: return byWidth("popa", "popad", "")
        case .pushf: return byWidth("pushf", "pushfd", "pushfq")
        case .popf: return byWidth("popf", "popfd", "popfq")
        case .iret: return byWidth("iret", "iretd", "iretq")
        case .ud: return opcode == 0x0b ? "ud2" : opcode == 0xb9 ? "ud1" : "ud0"
        case .fnstswAX: return "fnstsw"
        case .fxsave, .fxrstor, .xsave, .xsaveopt, .xsavec, .xsaves, .xrstor, .xrstors:
            return "\(mnemonic)" + (width == 8 ? "64" : "")
        default: return "\(mnemonic)"
        }
    }

    /// Of a native instruction.
    func manualName(of row: NativeRow) -> String {
        let name = row.mnemonic
        // Synonyms, which the table numbers.
        if row.isX87, ["fstp1", "fcom2", "fcomp3", "fxch4", "fcomp5", "fxch7", "fstp8", "fstp9"].contains(name) {
            return String(name.dropLast())
        }
        let isWide = rex & 8 != 0 && !isOutside64BitMode
        if isWide, ["movd", "vmovd", "pextrd", "vpextrd", "pinsrd", "vpinsrd"].contains(name) {
            return name.dropLast() + "q"
        }
        return name
    }
}
