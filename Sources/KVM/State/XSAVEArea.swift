// The XSAVE area: the kernel's has room for all that the host's CPU has, in the standard layout with host conventions; the
// neutral one for x87, SSE and AVX (SDM volume 1, section 13.4). PKRU stands for itself.

import CKVM
import VirtualCPU

/// Offsets in the area.
private enum Area {
    static let mxcsr = 24
    static let registers = 32
    static let vectors = 160
    static let header = 512
    static let avx = 576
    static let neutralSize = 832

    static let x87: UInt64 = 1
    static let sse: UInt64 = 2
    static let avxBit: UInt64 = 4
    static let pkru: UInt64 = 1 << 9
    /// The initial value of FCW and MXCSR.
    static let initialControlWord: UInt16 = 0x37f
    static let initialMXCSR: UInt32 = 0x1f80
    /// MXCSR_MASK as every engine has it: all that SSE2 defines.
    static let mxcsrMask: UInt32 = 0xffff
}

extension KVMVCPU {
    /// Bytes of the kernel's area.
    private var areaSize: Int { max(vm.capabilities[.xsave2], 4096) }
    /// Where PKRU lies in it; nil if this host has none (CPUID.(EAX=0DH, ECX=9):EBX).
    private var pkruOffset: Int? { vm.pkruOffset.flatMap { $0 + 4 <= areaSize ? $0 : nil } }

    func exportXSAVE(to state: inout CPUState) throws(EngineError) {
        var area = [UInt8](repeating: 0, count: areaSize)
        let second = vm.capabilities[.xsave2] > 4096
        let call: KVMCall = "KVM_GET_XSAVE"
        try call.check(retrying { ckvm_get_xsave(descriptor.number, &area, second) })
        var image = Array(area[0..<Area.neutralSize])
        let present = area.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Area.header, as: UInt64.self) }
        image.withUnsafeMutableBytes { bytes in
            // What is not in use reads as its initial value, whatever the kernel left in its place.
            if present & Area.x87 == 0 {
                for index in 0..<Area.mxcsr { bytes[index] = 0 }
                for index in Area.registers..<Area.vectors { bytes[index] = 0 }
                bytes.storeBytes(of: Area.initialControlWord, as: UInt16.self)
            }
            if present & (Area.sse | Area.avxBit) == 0 {
                bytes.storeBytes(of: Area.initialMXCSR, toByteOffset: Area.mxcsr, as: UInt32.self)
            }
            bytes.storeBytes(of: Area.mxcsrMask, toByteOffset: Area.mxcsr + 4, as: UInt32.self)
            if present & Area.sse == 0 { for index in Area.vectors..<416 { bytes[index] = 0 } }
            if present & Area.avxBit == 0 { for index in Area.avx..<Area.neutralSize { bytes[index] = 0 } }
            // Reserved and software's bytes, and XCOMP_BV: never the host's.
            for index in 416..<Area.avx { bytes[index] = 0 }
            if !state.isLongMode {
                for index in [12, 13, 14, 15, 20, 21, 22, 23] { bytes[index] = 0 }
            }
            bytes.storeBytes(of: Self.componentsInUse(bytes), toByteOffset: Area.header, as: UInt64.self)
        }
        state.xsave = image
        state.x87CodeSelector = aside.x87CodeSelector
        state.x87DataSelector = aside.x87DataSelector
        if let offset = pkruOffset, present & Area.pkru != 0 {
            state.pkru = area.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
        }
    }

    /// XSTATE_BV as every engine has it: a component is in use if it is not initial.
    private static func componentsInUse(_ image: UnsafeMutableRawBufferPointer) -> UInt64 {
        func isZero(_ range: Range<Int>) -> Bool { range.allSatisfy { image[$0] == 0 } }
        var bits: UInt64 = 0
        let controlWord = image.loadUnaligned(as: UInt16.self)
        if controlWord != Area.initialControlWord || !isZero(2..<Area.mxcsr) || !isZero(Area.registers..<Area.vectors) {
            bits |= Area.x87
        }
        let mxcsr = image.loadUnaligned(fromByteOffset: Area.mxcsr, as: UInt32.self)
        if mxcsr != Area.initialMXCSR || !isZero(Area.vectors..<416) { bits |= Area.sse }
        if !isZero(Area.avx..<Area.neutralSize) { bits |= Area.avxBit }
        return bits
    }

    func importXSAVE(_ state: CPUState) throws(EngineError) {
        var area = [UInt8](repeating: 0, count: areaSize)
        area.replaceSubrange(0..<Area.neutralSize, with: state.xsave)
        aside.x87CodeSelector = state.x87CodeSelector
        aside.x87DataSelector = state.x87DataSelector
        area.withUnsafeMutableBytes { bytes in
            let present = bytes.loadUnaligned(fromByteOffset: Area.header, as: UInt64.self)
            if present & Area.x87 == 0 {
                for index in 0..<Area.mxcsr { bytes[index] = 0 }
                for index in Area.registers..<Area.vectors { bytes[index] = 0 }
                bytes.storeBytes(of: Area.initialControlWord, as: UInt16.self)
            } else if !state.isLongMode {
                // The kernel's area has 64-bit pointers here, with no room for selectors.
                for index in [12, 13, 14, 15, 20, 21, 22, 23] { bytes[index] = 0 }
            }
            if present & Area.sse == 0 { for index in Area.vectors..<416 { bytes[index] = 0 } }
            for index in 416..<Area.avx { bytes[index] = 0 }
            var components = Area.x87 | Area.sse | present & Area.avxBit
            if present & Area.avxBit == 0 { for index in Area.avx..<Area.neutralSize { bytes[index] = 0 } }
            if let offset = pkruOffset {
                bytes.storeBytes(of: state.pkru, toByteOffset: offset, as: UInt32.self)
                if state.pkru != 0 { components |= Area.pkru }
            }
            bytes.storeBytes(of: components, toByteOffset: Area.header, as: UInt64.self)
        }
        let call: KVMCall = "KVM_SET_XSAVE"
        try call.check(retrying { ckvm_set_xsave(descriptor.number, area) })
    }
}
