// FNSTENV, FLDENV, FNSAVE and FRSTOR: the x87 environment of 28 or 14 bytes in its protected-mode and real-mode forms
// (SDM volume 1, figures 8-9 to 8-12), and with FNSAVE the eight registers behind it.

import CPrimitives

private enum Environment {
    static let registers = 80

    static func size(_ i: Instruction) -> Int { i.pointee.width == 2 ? 14 : 28 }
}

extension CPU {
    /// Full tags, two bits per physical register: 0 valid, 1 zero, 2 special, 3 empty.
    fileprivate var fullTags: UInt16 {
        var tags: UInt16 = 0
        let top = x87.pointee.top
        for physical in 0..<8 {
            var tag: UInt16 = 3
            if x87.pointee.ftw >> UInt8(physical) & 1 != 0 {
                let register = x87Register(physical - top)
                let significand = register.load(as: UInt64.self)
                switch register.load(fromByteOffset: 8, as: UInt16.self) & 0x7fff {
                case 0: tag = significand == 0 ? 1 : 2
                case 0x7fff: tag = 2
                default: tag = significand >> 63 != 0 ? 0 : 2
                }
            }
            tags |= tag << UInt16(2 * physical)
        }
        return tags
    }

    /// Writes the environment in the form of the operand size and mode.
    fileprivate func putEnvironment(_ i: Instruction, _ image: UnsafeMutableRawPointer) {
        let x = x87.pointee
        let real = realOrVirtual8086
        let words: [UInt32]
        if i.pointee.width == 2 {
            let tail: [UInt64]
            if real {
                let (ip, dp) = (realPointer(x.fip, state.pointee.fcs), realPointer(x.fdp, state.pointee.fds))
                tail = [ip, ip >> 4 & 0xf000 | UInt64(x.fop), dp, dp >> 4 & 0xf000]
            } else {
                tail = [x.fip, UInt64(state.pointee.fcs), x.fdp, UInt64(state.pointee.fds)]
            }
            let all = [x.fcw, x.fsw, fullTags] + tail.map { UInt16(truncatingIfNeeded: $0) }
            for (n, word) in all.enumerated() { (image + 2 * n).storeBytes(of: word, as: UInt16.self) }
            return
        }
        let tail: [UInt64]
        if real {
            let (ip, dp) = (realPointer(x.fip, state.pointee.fcs), realPointer(x.fdp, state.pointee.fds))
            tail = [
                0xffff_0000 | ip & 0xffff, (ip >> 16) << 12 | UInt64(x.fop), 0xffff_0000 | dp & 0xffff,
                (dp >> 16) << 12,
            ]
        } else {
            tail = [
                x.fip, UInt64(x.fop) << 16 | UInt64(state.pointee.fcs), x.fdp, 0xffff_0000 | UInt64(state.pointee.fds),
            ]
        }
        words = [x.fcw, x.fsw, fullTags].map { 0xffff_0000 | UInt32($0) } + tail.map { UInt32(truncatingIfNeeded: $0) }
        for (n, word) in words.enumerated() { (image + 4 * n).storeBytes(of: word, as: UInt32.self) }
    }

    private func realPointer(_ offset: UInt64, _ selector: UInt16) -> UInt64 { offset &+ UInt64(selector) << 4 }

    /// Loads an environment. That of 16-bit protected mode has no opcode.
    fileprivate func takeEnvironment(_ i: Instruction, _ image: UnsafeRawPointer) {
        let step = i.pointee.width == 2 ? 2 : 4
        func word(_ n: Int) -> UInt16 { image.load(fromByteOffset: n * step, as: UInt16.self) }
        func long(_ n: Int) -> UInt64 {
            UInt64(step == 2 ? UInt32(word(n)) : image.load(fromByteOffset: n * 4, as: UInt32.self))
        }
        let x = x87
        turnStack(to: Int(word(1) >> 11 & 7))
        x.pointee.fsw = word(1)
        var used: UInt8 = 0
        for physical in 0..<8 where word(2) >> UInt16(2 * physical) & 3 != 3 { used |= 1 << UInt8(physical) }
        x.pointee.ftw = used
        if realOrVirtual8086 {
            let shift: UInt64 = step == 2 ? 4 : 0
            func pointer(_ low: Int, _ high: Int) -> UInt64 {
                long(low) & 0xffff | (step == 2 ? (long(high) & 0xf000) << shift : (long(high) & 0xffff_f000) << 4)
            }
            x.pointee.fip = pointer(3, 4)
            x.pointee.fdp = pointer(5, 6)
            x.pointee.fop = word(4) & 0x7ff
            state.pointee.fcs = 0
            state.pointee.fds = 0
        } else {
            x.pointee.fip = long(3)
            x.pointee.fdp = long(5)
            state.pointee.fcs = word(4)
            state.pointee.fds = word(6)
            x.pointee.fop = step == 4 ? image.load(fromByteOffset: 18, as: UInt16.self) & 0x7ff : 0
        }
        x.pointee.setControlWord(word(0))
    }
}

let fnstenv: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        let size = Environment.size(i)
        try cpu.checkImageAlignment(i, min(Int(i.pointee.width), 4))
        let linear = try cpu.linearAddress(i, size: size, .write)
        try withStateImage { image throws(GuestFault) in
            cpu.putEnvironment(i, image)
            try cpu.probeEnds(linear, count: size, .write)
            try cpu.copyOut(linear, count: size, from: image)
        }
        // All exceptions are masked afterwards.
        cpu.x87.pointee.setControlWord(cpu.x87.pointee.fcw | FSW.exceptions)
    }
}

let fldenv: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.raisePendingX87Exception()
        let size = Environment.size(i)
        try cpu.checkImageAlignment(i, min(Int(i.pointee.width), 4))
        let linear = try cpu.linearAddress(i, size: size, .read)
        try withStateImage { image throws(GuestFault) in
            try cpu.probeEnds(linear, count: size, .read)
            try cpu.copyIn(linear, count: size, to: image)
            cpu.takeEnvironment(i, image)
        }
    }
}

let fnsave: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        let size = Environment.size(i)
        try cpu.checkImageAlignment(i, min(Int(i.pointee.width), 4))
        let linear = try cpu.linearAddress(i, size: size + Environment.registers, .write)
        try withStateImage { image throws(GuestFault) in
            cpu.putEnvironment(i, image)
            for n in 0..<8 { (image + size + 10 * n).copyMemory(from: cpu.x87Register(n), byteCount: 10) }
            try cpu.probeEnds(linear, count: size + Environment.registers, .write)
            try cpu.copyOut(linear, count: size + Environment.registers, from: image)
        }
        cpu.initializeX87()
    }
}

let frstor: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.raisePendingX87Exception()
        let size = Environment.size(i)
        try cpu.checkImageAlignment(i, min(Int(i.pointee.width), 4))
        let linear = try cpu.linearAddress(i, size: size + Environment.registers, .read)
        try withStateImage { image throws(GuestFault) in
            try cpu.probeEnds(linear, count: size + Environment.registers, .read)
            try cpu.copyIn(linear, count: size + Environment.registers, to: image)
            cpu.takeEnvironment(i, image)
            for n in 0..<8 { cpu.x87Register(n).copyMemory(from: image + size + 10 * n, byteCount: 10) }
        }
    }
}
