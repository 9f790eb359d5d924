// FXSAVE and FXRSTOR, and the legacy region that XSAVE shares with them (SDM volume 1, section 10.5). Neither looks at
// pending x87 exceptions. XMM registers and MXCSR are always included, whatever CR4.OSFXSR says.

import CPrimitives

/// The legacy region's layout.
enum LegacyRegion {
    static let size = 512
    static let mxcsr = 24
    static let registers = 32
    static let vectors = 160
    /// What FXSAVE writes at all; the rest is software's.
    static let written = 416
}

extension CPU {
    /// XMM registers that the current mode has.
    var vectorCount: UInt8 { in64BitMode ? 16 : 8 }

    /// Writes the x87 part of the legacy region: bytes 0…23 and 32…159. With `wide` (REX.W) the pointers are 64-bit
    /// offsets, else 32 bits and a selector.
    func putX87(_ image: UnsafeMutableRawPointer, wide: Bool) {
        image.copyMemory(from: x87, byteCount: LegacyRegion.mxcsr)
        (image + LegacyRegion.registers).copyMemory(from: x87Register(0), byteCount: 128)
        guard !wide else { return }
        (image + 12).storeBytes(of: UInt32(state.pointee.fcs), as: UInt32.self)
        (image + 20).storeBytes(of: UInt32(state.pointee.fds), as: UInt32.self)
    }

    /// Loads the x87 part.
    func takeX87(_ image: UnsafeRawPointer, wide: Bool) {
        let x87 = x87
        UnsafeMutableRawPointer(x87).copyMemory(from: image, byteCount: LegacyRegion.mxcsr)
        for n in 0..<8 {
            x87Register(n).copyMemory(from: image + LegacyRegion.registers + n * 16, byteCount: 10)
        }
        x87.pointee.reserved = 0
        x87.pointee.fop &= 0x7ff
        if wide {
            state.pointee.fcs = 0
            state.pointee.fds = 0
        } else {
            state.pointee.fcs = (image + 12).load(as: UInt16.self)
            state.pointee.fds = (image + 20).load(as: UInt16.self)
            x87.pointee.fip &= 0xffff_ffff
            x87.pointee.fdp &= 0xffff_ffff
        }
        x87.pointee.setControlWord(x87.pointee.fcw)
    }

    /// Writes MXCSR and its mask.
    func putMXCSR(_ image: UnsafeMutableRawPointer) {
        (image + LegacyRegion.mxcsr).storeBytes(of: state.pointee.mxcsr, as: UInt32.self)
        (image + LegacyRegion.mxcsr + 4).storeBytes(of: InitialState.mxcsrMask, as: UInt32.self)
    }

    /// Writes the XMM registers of the current mode.
    func putXMM(_ image: UnsafeMutableRawPointer) {
        for n in 0..<vectorCount {
            (image + LegacyRegion.vectors + Int(n) * 16).copyMemory(from: vector(n), byteCount: 16)
        }
    }

    /// Loads the XMM registers of the current mode.
    func takeXMM(_ image: UnsafeRawPointer) {
        for n in 0..<vectorCount {
            vector(n).copyMemory(from: image + LegacyRegion.vectors + Int(n) * 16, byteCount: 16)
        }
    }
}

extension tz_instruction {
    /// REX.W, which makes the pointers in an image 64 bits.
    var hasWidePointers: Bool { rex & 8 != 0 && !isOutside64BitMode }
}

let fxsave: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.checkImageAlignment(i, 4)
        let linear = try cpu.legacyImageAddress(i, .write)
        try withStateImage { image throws(GuestFault) in
            cpu.putX87(image, wide: i.pointee.hasWidePointers)
            cpu.putMXCSR(image)
            cpu.putXMM(image)
            let count = LegacyRegion.vectors + Int(cpu.vectorCount) * 16
            try cpu.probeLast(linear, count: LegacyRegion.size, .write)
            try cpu.checkWritable(linear, count: LegacyRegion.size)
            try cpu.copyOut(linear, count: count, from: image)
        }
    }
}

let fxrstor: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.checkImageAlignment(i, 4)
        let linear = try cpu.legacyImageAddress(i, .read)
        // The last byte is asked for first, as CPUs do: a page fault tells.
        try cpu.probeLast(linear, count: LegacyRegion.size, .read)
        try withStateImage { image throws(GuestFault) in
            try cpu.copyIn(linear, count: LegacyRegion.size, to: image)
            let mxcsr = (image + LegacyRegion.mxcsr).load(as: UInt32.self)
            try cpu.checkMXCSR(mxcsr)
            cpu.takeX87(image, wide: i.pointee.hasWidePointers)
            cpu.state.pointee.mxcsr = mxcsr
            cpu.takeXMM(image)
        }
    }
}
