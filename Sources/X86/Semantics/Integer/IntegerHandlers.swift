// From a decoded integer instruction to the function that executes it. Looked up once, when the instruction is decoded.

import CPrimitives
import Glibc

/// The handler of an instruction of `Mnemonic`'s integer group; nil if it is not one.
func integerHandler(_ i: UnsafeMutablePointer<tz_instruction>, _ offer: InstructionSet) -> tz_handler? {
    guard let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic) else { return nil }
    let shape = OperandShape(i)
    switch mnemonic {
    case .add: return addHandler(shape)
    case .or: return orHandler(shape)
    case .adc: return adcHandler(shape)
    case .sbb: return sbbHandler(shape)
    case .and: return andHandler(shape)
    case .sub: return subHandler(shape)
    case .xor: return xorHandler(shape)
    case .cmp: return cmpHandler(shape)
    case .test: return testHandler(shape)
    case .inc: return incHandler(shape)
    case .dec: return decHandler(shape)
    case .neg: return negHandler(shape)
    case .not: return { s, i in execute(s, i, Not.self) }
    case .setcc: return { s, i in execute(s) { cpu throws(GuestFault) in try cpu.setByte(i) } }
    case .lahf: return { s, _ in CPU(s).loadFlagsIntoAH() }
    case .sahf: return { s, _ in CPU(s).storeAHIntoFlags() }
    case .clc: return { s, _ in s.pointee.arithmetic &= ~UInt64(TZ_FLAG_CF) }
    case .stc: return { s, _ in s.pointee.arithmetic |= UInt64(TZ_FLAG_CF) }
    case .cmc: return { s, _ in s.pointee.arithmetic ^= UInt64(TZ_FLAG_CF) }
    case .cld: return { s, _ in s.pointee.system_flags &= ~RFLAGS.df }
    case .std: return { s, _ in s.pointee.system_flags |= RFLAGS.df }
    // 0F 0D names registers on Intel's CPUs only, to no effect.
    case .nop where i.pointee.map == 1 && i.pointee.opcode == 0x0d && offer.vendor == .amd: return undefinedInstruction
    case .nop: return { _, _ in }
    case .pause: return pause
    case .ud: return undefinedInstruction
    default:
        return dataMovementHandler(mnemonic, i, offer) ?? controlFlowHandler(mnemonic, i) ?? stackHandler(mnemonic, i)
            ?? shiftHandler(mnemonic, shape) ?? multiplyDivideHandler(mnemonic) ?? bitHandler(mnemonic, offer)
            ?? stringHandler(mnemonic) ?? atomicHandler(mnemonic, offer) ?? decimalHandler(mnemonic)
    }
}

/// PAUSE: the guest waits for another CPU. Where vCPUs are more than host CPUs, that one may be the next to run here; a
/// short wait is not worth a system call.
private let pause: tz_handler = { s, _ in
    s.pointee.pauses &+= 1
    if s.pointee.yields_on_pause != 0, s.pointee.pauses & 15 == 0 { sched_yield() }
}
