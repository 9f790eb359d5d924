// The XSAVE family over the components x87, SSE, AVX and PKRU (SDM volume 1, chapter 13), with the init optimisation of
// XSAVEOPT, XSAVEC and XSAVES; the modified optimisation, which hardware may leave out, is left out.

import CPrimitives

/// The layout of an XSAVE area. The compacted format puts AVX where the standard one does, and PKRU behind what there is.
enum XSAVEArea {
    static let header = 512
    static let xcompBV = 520
    static let avx = 576
    /// Of the engine-neutral image, which has no PKRU.
    static let size = 832
    static let pkru = 832
    static let pkruSize = 8
    /// The longest area of all, in whole cache lines.
    static let largest = 896
    static let alignment: UInt64 = 64
    /// XCOMP_BV: the area is compacted.
    static let compacted: UInt64 = 1 << 63

    /// Where PKRU is in an area; the compacted format's has these components.
    static func pkru(compacted components: UInt64?) -> Int {
        guard let components else { return pkru }
        return components & XCR0.avx != 0 ? pkru : avx
    }
}

/// What the store instructions differ in.
private struct StoreForm {
    /// Components in their initial configuration are not written.
    var skipsInitial = false
    var compacts = false
    var supervisor = false
}

extension CPU {
    /// Gates of the family: CR4.OSXSAVE, then CR0.TS.
    fileprivate func passXSAVEGates() throws(GuestFault) {
        if state.pointee.cr4 & CR4.osxsave == 0 { throw .invalidOpcode }
        if state.pointee.cr0 & CR0.ts != 0 { throw .deviceNotAvailable }
    }

    /// RFBM: EDX:EAX and XCR0.
    private var requestedFeatures: UInt64 {
        (self[.rdx] << 32 | self[.rax] & 0xffff_ffff) & state.pointee.xcr0
    }

    /// XINUSE, with SSE in use too while MXCSR has not its initial value.
    fileprivate var componentsInUse: UInt64 {
        var bits: UInt64 = 0
        let x = x87.pointee
        let initial =
            x.fcw == InitialState.fcw && x.fsw == 0 && x.ftw == 0 && x.fop == 0 && x.fip == 0 && x.fdp == 0
            && isZero(x87Register(0), 128)
        if !initial { bits |= XCR0.x87 }
        if state.pointee.mxcsr != InitialState.mxcsr { bits |= XCR0.sse }
        for n in 0..<vectorCount {
            if !isZero(vector(n), 16) { bits |= XCR0.sse }
            if !isZero(vector(n) + 16, 16) { bits |= XCR0.avx }
        }
        if state.pointee.pkru != 0 { bits |= XCR0.pkru }
        return bits
    }

    private func isZero(_ start: UnsafeRawPointer, _ count: Int) -> Bool {
        var offset = 0
        while offset < count {
            if start.load(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
            offset += 8
        }
        return true
    }

    fileprivate func putAVX(_ image: UnsafeMutableRawPointer) {
        for n in 0..<vectorCount {
            (image + XSAVEArea.avx + Int(n) * 16).copyMemory(from: vector(n) + 16, byteCount: 16)
        }
    }

    fileprivate func takeAVX(_ image: UnsafeRawPointer) {
        for n in 0..<vectorCount {
            (vector(n) + 16).copyMemory(from: image + XSAVEArea.avx + Int(n) * 16, byteCount: 16)
        }
    }

    /// Puts the components of `mask` into their initial configuration; SSE without MXCSR.
    fileprivate func initializeComponents(_ mask: UInt64) {
        if mask & XCR0.x87 != 0 {
            initializeX87()
            x87Register(0).initializeMemory(as: UInt8.self, repeating: 0, count: 128)
        }
        for n in 0..<vectorCount {
            if mask & XCR0.sse != 0 { vector(n).initializeMemory(as: UInt8.self, repeating: 0, count: 16) }
            if mask & XCR0.avx != 0 { (vector(n) + 16).initializeMemory(as: UInt8.self, repeating: 0, count: 16) }
        }
        if mask & XCR0.pkru != 0 { setPKRU(0) }
    }

    fileprivate func storeComponents(_ i: Instruction, _ form: StoreForm) throws(GuestFault) {
        try passXSAVEGates()
        if form.supervisor, cpl != 0 { throw .generalProtection() }
        let rfbm = requestedFeatures
        let inUse = componentsInUse & rfbm
        let written = form.skipsInitial ? inUse : rfbm
        let vectorBytes = Int(vectorCount) * 16
        let pkru = XSAVEArea.pkru(compacted: form.compacts ? rfbm : nil)
        var end = rfbm & XCR0.avx != 0 ? XSAVEArea.avx + vectorBytes : XSAVEArea.avx
        if rfbm & XCR0.pkru != 0 { end = pkru + XSAVEArea.pkruSize }
        let linear = try alignedImageAddress(i, size: end, alignment: XSAVEArea.alignment, .write)
        // Every byte of the area must be writable, whichever are written.
        try checkWritable(linear, count: end)
        var xstateBV = inUse
        if !form.compacts {
            let old = try load(UInt64.self, linear &+ UInt64(XSAVEArea.header))
            xstateBV |= old & ~rfbm
        }
        try withStateImage { image throws(GuestFault) in
            func put(_ offset: Int, _ count: Int) throws(GuestFault) {
                try copyOut(linear &+ UInt64(offset), count: count, from: image + offset)
            }
            if written & XCR0.x87 != 0 {
                putX87(image, wide: i.pointee.hasWidePointers)
                try put(0, LegacyRegion.mxcsr)
                try put(LegacyRegion.registers, 128)
            }
            // Compacted, MXCSR is a part of SSE; else of SSE and AVX, in use or not.
            if form.compacts ? written & XCR0.sse != 0 : rfbm & XCR0.avxAndSSE != 0 {
                putMXCSR(image)
                try put(LegacyRegion.mxcsr, 8)
            }
            if written & XCR0.sse != 0 {
                putXMM(image)
                try put(LegacyRegion.vectors, vectorBytes)
            }
            if written & XCR0.avx != 0 {
                putAVX(image)
                try put(XSAVEArea.avx, vectorBytes)
            }
            if written & XCR0.pkru != 0 {
                (image + pkru).storeBytes(of: state.pointee.pkru, as: UInt64.self)
                try put(pkru, XSAVEArea.pkruSize)
            }
            (image + XSAVEArea.header).storeBytes(of: xstateBV, as: UInt64.self)
            if form.compacts {
                (image + XSAVEArea.xcompBV).storeBytes(of: rfbm | XSAVEArea.compacted, as: UInt64.self)
            }
            try put(XSAVEArea.header, form.compacts ? 16 : 8)
        }
    }

    /// XRSTOR and XRSTORS.
    fileprivate func loadComponents(_ i: Instruction, supervisor: Bool) throws(GuestFault) {
        try passXSAVEGates()
        if supervisor, cpl != 0 { throw .generalProtection() }
        let rfbm = requestedFeatures
        let vectorBytes = Int(vectorCount) * 16
        var end = rfbm & XCR0.avx != 0 ? XSAVEArea.avx + vectorBytes : XSAVEArea.avx
        let linear = try alignedImageAddress(i, size: end, alignment: XSAVEArea.alignment, .read)
        var pkru = XSAVEArea.pkru
        if rfbm & XCR0.pkru != 0 {
            let xcompBV = try load(UInt64.self, linear &+ UInt64(XSAVEArea.xcompBV))
            pkru = XSAVEArea.pkru(compacted: xcompBV & XSAVEArea.compacted != 0 ? xcompBV : nil)
            end = max(end, pkru + XSAVEArea.pkruSize)
        }
        try withStateImage { image throws(GuestFault) in
            try copyIn(linear, count: end, to: image)
            let header = (image + XSAVEArea.header).assumingMemoryBound(to: UInt64.self)
            let (xstateBV, xcompBV) = (header[0], header[1])
            let compacted = xcompBV & XSAVEArea.compacted != 0
            let xcr0 = state.pointee.xcr0
            if compacted {
                guard has(.xsavec), xcompBV & ~(XSAVEArea.compacted | xcr0) == 0, xstateBV & ~xcompBV == 0,
                    (2..<8).allSatisfy({ header[$0] == 0 })
                else { throw .generalProtection() }
            } else {
                guard !supervisor, xstateBV & ~xcr0 == 0, xcompBV == 0, header[2] == 0 else {
                    throw .generalProtection()
                }
            }
            let loaded = rfbm & xstateBV
            let mxcsr = (image + LegacyRegion.mxcsr).load(as: UInt32.self)
            let loadsMXCSR = compacted ? loaded & XCR0.sse != 0 : rfbm & XCR0.avxAndSSE != 0
            if loadsMXCSR { try checkMXCSR(mxcsr) }
            initializeComponents(rfbm & ~loaded)
            if loaded & XCR0.pkru != 0 { setPKRU((image + pkru).load(as: UInt32.self)) }
            if loadsMXCSR {
                state.pointee.mxcsr = mxcsr
            } else if rfbm & XCR0.sse != 0 {
                state.pointee.mxcsr = InitialState.mxcsr
            }
            if loaded & XCR0.x87 != 0 { takeX87(image, wide: i.pointee.hasWidePointers) }
            if loaded & XCR0.sse != 0 { takeXMM(image) }
            if loaded & XCR0.avx != 0 { takeAVX(image) }
        }
    }
}

let xsave: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.storeComponents(i, StoreForm()) }
}
let xsaveopt: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.storeComponents(i, StoreForm(skipsInitial: true)) }
}
let xsavec: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.storeComponents(i, StoreForm(skipsInitial: true, compacts: true))
    }
}
let xsaves: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.storeComponents(i, StoreForm(skipsInitial: true, compacts: true, supervisor: true))
    }
}
let xrstor: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.loadComponents(i, supervisor: false) }
}
let xrstors: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.loadComponents(i, supervisor: true) }
}

// MARK: The engine-neutral image

extension CPU {
    /// x87, SSE and AVX state as a standard-format XSAVE area of 832 bytes. XSTATE_BV has the components in use. In long
    /// mode the x87 pointers are 64 bits, outside it 32 bits with selectors.
    func exportXSAVE() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: XSAVEArea.size)
        bytes.withUnsafeMutableBytes { buffer in
            guard let image = buffer.baseAddress else { return }
            let wide = state.pointee.efer & EFER.lma != 0
            putX87(image, wide: wide)
            (image + LegacyRegion.mxcsr).storeBytes(of: state.pointee.mxcsr, as: UInt32.self)
            (image + LegacyRegion.mxcsr + 4).storeBytes(of: InitialState.mxcsrMask, as: UInt32.self)
            var inUse = componentsInUse & ~XCR0.avxAndSSE
            if state.pointee.mxcsr != InitialState.mxcsr { inUse |= XCR0.sse }
            for n in 0..<UInt8(16) {
                let register = vector(n)
                (image + LegacyRegion.vectors + Int(n) * 16).copyMemory(from: register, byteCount: 16)
                (image + XSAVEArea.avx + Int(n) * 16).copyMemory(from: register + 16, byteCount: 16)
                if !isZero(register, 16) { inUse |= XCR0.sse }
                if !isZero(register + 16, 16) { inUse |= XCR0.avx }
            }
            (image + XSAVEArea.header).storeBytes(of: inUse, as: UInt64.self)
        }
        return bytes
    }

    /// Takes such an area in; components whose bit in XSTATE_BV is clear become initial, MXCSR is always loaded (without
    /// its reserved bits). EFER must be in place. An area of another size is ignored.
    func importXSAVE(_ bytes: [UInt8]) {
        guard bytes.count == XSAVEArea.size else { return }
        bytes.withUnsafeBytes { buffer in
            guard let image = buffer.baseAddress else { return }
            let present = image.loadUnaligned(fromByteOffset: XSAVEArea.header, as: UInt64.self)
            state.pointee.mxcsr =
                image.loadUnaligned(fromByteOffset: LegacyRegion.mxcsr, as: UInt32.self) & InitialState.mxcsrMask
            initializeX87()
            x87Register(0).initializeMemory(as: UInt8.self, repeating: 0, count: 128)
            if present & XCR0.x87 != 0 { takeX87(image, wide: state.pointee.efer & EFER.lma != 0) }
            for n in 0..<UInt8(16) {
                let register = vector(n)
                register.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
                if present & XCR0.sse != 0 {
                    register.copyMemory(from: image + LegacyRegion.vectors + Int(n) * 16, byteCount: 16)
                }
                if present & XCR0.avx != 0 {
                    (register + 16).copyMemory(from: image + XSAVEArea.avx + Int(n) * 16, byteCount: 16)
                }
            }
        }
        refreshFPUGates()
    }
}
