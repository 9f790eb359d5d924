// SGDT, SIDT, LGDT, LIDT, SLDT, STR, LLDT, LTR, and the instructions that ask about selectors: LAR, LSL, VERR, VERW, ARPL.

import CPrimitives

extension CPU {
    // MARK: GDTR and IDTR

    /// SGDT and SIDT store 2 bytes of limit and 4 or 8 of base.
    func storeTable(_ table: tz_table_register, _ i: Instruction) throws(GuestFault) {
        try requireUserModeInformation()
        guard isMemoryOperand(i) else { throw .invalidOpcode }
        let size = in64BitMode ? 8 : 4
        let linear = try linearAddress(i, size: size + 2, .write)
        // Both parts or none.
        try probe(linear, size: size + 2, .write)
        try store(UInt16(truncatingIfNeeded: table.limit), linear)
        try storeInteger(table.base, nextLinear(linear, 2), size: size)
    }

    /// What LGDT and LIDT load. With a 16-bit operand size the base has 24 bits.
    func tableOperand(_ i: Instruction) throws(GuestFault) -> tz_table_register {
        try requirePrivilege()
        guard isMemoryOperand(i) else { throw .invalidOpcode }
        let size = in64BitMode ? 8 : 4
        let linear = try linearAddress(i, size: size + 2, .read)
        let limit = try load(UInt16.self, linear)
        var base = try loadInteger(nextLinear(linear, 2), size: size)
        if in64BitMode {
            guard isCanonical(base) else { throw .generalProtection() }
        } else if (state.pointee.code_width == 2) != (i.pointee.prefixes & UInt8(TZ_PREFIX_66) != 0) {
            base &= 0xff_ffff
        }
        return tz_table_register(base: base, limit: UInt64(limit))
    }

    @inline(__always) private func nextLinear(_ linear: UInt64, _ step: UInt64) -> UInt64 {
        in64BitMode ? linear &+ step : (linear &+ step) & 0xffff_ffff
    }

    // MARK: LDTR and TR

    private func requireSelectors() throws(GuestFault) {
        if realOrVirtual8086 { throw .invalidOpcode }
    }

    /// SLDT and STR
    func storeSystemSelector(_ register: SegmentRegister, _ i: Instruction) throws(GuestFault) {
        try requireSelectors()
        try requireUserModeInformation()
        try storeSelector(segment(register).pointee.selector, i)
    }

    func loadLDT(_ i: Instruction) throws(GuestFault) {
        try requireSelectors()
        try requirePrivilege()
        let selector = try selectorOperand(i)
        guard !selector.isNullSelector else {
            segment(.ldtr).pointee = .null(selector)
            return
        }
        let code = selector.errorCode
        guard !selector.usesLDT else { throw .generalProtection(code) }
        let target = try descriptor(selector)
        guard target.isSystem, target.type == SystemType.ldt else { throw .generalProtection(code) }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        if longMode && !isCanonical(target.base) { throw .generalProtection(code) }
        segment(.ldtr).pointee = target.segment(selector)
    }

    func loadTaskRegister(_ i: Instruction) throws(GuestFault) {
        try requireSelectors()
        try requirePrivilege()
        let selector = try selectorOperand(i)
        guard !selector.isNullSelector else { throw .generalProtection() }
        let code = selector.errorCode
        guard !selector.usesLDT else { throw .generalProtection(code) }
        let target = try descriptor(selector)
        guard target.isSystem, target.type == SystemType.tss || target.type == SystemType.tss16 && !longMode else {
            throw .generalProtection(code)
        }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        if longMode && !isCanonical(target.base) { throw .generalProtection(code) }
        try setSystemBits(2, target.address &+ 5)
        var tr = target.segment(selector)
        tr.attributes |= 2
        segment(.tr).pointee = tr
    }

    // MARK: Questions about selectors

    /// The descriptor of a selector if it can be read; nil where LAR and its like clear ZF.
    private func visibleDescriptor(_ selector: UInt16) throws(GuestFault) -> Descriptor? {
        guard !selector.isNullSelector, descriptorAddress(selector) != nil else { return nil }
        do { return try descriptor(selector) } catch {
            // A 16-byte descriptor that is cut off by the limit is invisible; page faults are real.
            if error.vector == Vector.generalProtection { return nil }
            throw error
        }
    }

    private func isVisible(_ target: Descriptor, _ selector: UInt16) -> Bool {
        target.isConforming || target.dpl >= max(cpl, selector.rpl)
    }

    func loadAccessRights(_ i: Instruction) throws(GuestFault) {
        try requireSelectors()
        let selector = try selectorOperand(i)
        guard let target = try visibleDescriptor(selector), isVisible(target, selector),
            !target.isSystem
                || systemTypes(gates: true).contains(target.type)
        else { return setZF(false) }
        // Bits 23:8 of the second doubleword, and the limit's bits 19:16 with them.
        setRegister(i.pointee.reg, width: i.pointee.width, to: target.raw >> 32 & 0x00ff_ff00)
        setZF(true)
    }

    func loadSegmentLimit(_ i: Instruction) throws(GuestFault) {
        try requireSelectors()
        let selector = try selectorOperand(i)
        guard let target = try visibleDescriptor(selector), isVisible(target, selector),
            !target.isSystem
                || systemTypes(gates: false).contains(target.type)
        else { return setZF(false) }
        setRegister(i.pointee.reg, width: i.pointee.width, to: UInt64(target.limit))
        setZF(true)
    }

    /// System descriptor types that LAR (gates too) and LSL accept (SDM volume 2, tables 3-54 and 3-57).
    private func systemTypes(gates: Bool) -> [UInt32] {
        if longMode {
            let types = [SystemType.ldt, SystemType.tss, SystemType.busyTSS]
            return gates ? types + [SystemType.callGate] : types
        }
        let types = [SystemType.tss16, SystemType.ldt, SystemType.busyTSS16, SystemType.tss, SystemType.busyTSS]
        return gates ? types + [SystemType.callGate16, SystemType.taskGate, SystemType.callGate] : types
    }

    /// VERR and VERW
    func verify(_ i: Instruction, writing: Bool) throws(GuestFault) {
        try requireSelectors()
        let selector = try selectorOperand(i)
        guard let target = try visibleDescriptor(selector), !target.isSystem, isVisible(target, selector) else {
            return setZF(false)
        }
        setZF(writing ? target.isWritableData : target.isReadable)
    }

    /// ARPL
    func adjustRPL(_ i: Instruction) throws(GuestFault) {
        try requireSelectors()
        let source = register(i.pointee.reg, as: UInt16.self).rpl
        if isMemoryOperand(i) {
            let linear = try linearAddress(i, size: 2, .write)
            // The destination is written only when it changes, and must be writable only then.
            let old = try load(UInt16.self, linear)
            if old.rpl < source { try store(old.with(rpl: source), linear) }
            setZF(old.rpl < source)
        } else {
            let old = register(i.pointee.rm, as: UInt16.self)
            if old.rpl < source { setRegister(i.pointee.rm, to: old.with(rpl: source)) }
            setZF(old.rpl < source)
        }
    }

    // MARK: Bases of FS and GS

    private func requireBaseInstructions() throws(GuestFault) {
        guard in64BitMode, state.pointee.cr4 & CR4.fsgsbase != 0 else { throw .invalidOpcode }
    }

    func readBase(_ register: SegmentRegister, _ i: Instruction) throws(GuestFault) {
        try requireBaseInstructions()
        setRegister(i.pointee.rm, width: i.pointee.width, to: segment(register).pointee.base)
    }

    func writeBase(_ register: SegmentRegister, _ i: Instruction) throws(GuestFault) {
        try requireBaseInstructions()
        let value = self.register(i.pointee.rm, as: UInt64.self)
        let base = i.pointee.width == 8 ? value : value & 0xffff_ffff
        guard isCanonical(base) else { throw .generalProtection() }
        setBase(register, to: base)
    }

    func setBase(_ register: SegmentRegister, to base: UInt64) {
        segment(register).pointee.base = base
        setEffectiveBase(register.rawValue, to: base)
        if !in64BitMode { refreshAddressGeneration() }
    }

    func swapGS() throws(GuestFault) {
        guard in64BitMode else { throw .invalidOpcode }
        try requirePrivilege()
        let base = segment(.gs).pointee.base
        setBase(.gs, to: state.pointee.kernel_gs_base)
        state.pointee.kernel_gs_base = base
    }
}
