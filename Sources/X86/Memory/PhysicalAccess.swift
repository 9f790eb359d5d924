// Accesses by guest-physical address: memory, the local APIC's page, or the machine's bus. What a linear access becomes
// once it is translated, and how the page walk reads its tables.

import CPrimitives

extension CPU {
    /// The slot that holds a guest-physical address; nil where the bus or the local APIC answers.
    @inline(__always) func slot(containing physical: UInt64) -> UnsafeMutablePointer<MemorySlot>? {
        guard physical & ~0xfff != translation.pointee.apicPage, let slots = translation.pointee.slots else {
            return nil
        }
        for index in 0..<translation.pointee.slotCount where slots[index].contains(physical) { return slots + index }
        return nil
    }

    /// Reads 1 to 8 bytes that lie in one page.
    func readPhysical(_ physical: UInt64, size: Int) -> UInt64 {
        guard let slot = slot(containing: physical) else { return readDevice(physical, size: size) }
        let host = slot.pointee.pointer(physical)
        switch size {
        case 1: return UInt64(tz_load8(host))
        case 2: return UInt64(tz_load16(host))
        case 4: return UInt64(tz_load32(host))
        case 8: return tz_load64(host)
        default:
            var value: UInt64 = 0
            for index in 0..<size { value |= UInt64(tz_load8(host + index)) << UInt64(8 &* index) }
            return value
        }
    }

    /// Writes 1 to 8 bytes that lie in one page, keeping decoded code true to memory.
    func writePhysical(_ physical: UInt64, size: Int, value: UInt64) {
        guard let slot = slot(containing: physical), !slot.pointee.readOnly else {
            return writeDevice(physical, size: size, value: value)
        }
        let host = slot.pointee.pointer(physical)
        switch size {
        case 1: tz_store8(host, UInt8(truncatingIfNeeded: value))
        case 2: tz_store16(host, UInt16(truncatingIfNeeded: value))
        case 4: tz_store32(host, UInt32(truncatingIfNeeded: value))
        case 8: tz_store64(host, value)
        default:
            for index in 0..<size { tz_store8(host + index, UInt8(truncatingIfNeeded: value >> UInt64(8 &* index))) }
        }
        noteWrite(physical, slot)
    }

    /// Replaces an entry of a paging structure if it still is what was read. Entries that are not in writable memory
    /// keep their flags.
    func exchangePhysical(_ physical: UInt64, size: Int, from old: UInt64, to new: UInt64) -> Bool {
        guard let slot = slot(containing: physical), !slot.pointee.readOnly else { return true }
        let host = slot.pointee.pointer(physical)
        let done: Bool
        if size == 8 {
            var expected = old
            done = tz_compare_exchange64(host, &expected, new)
        } else {
            var expected = UInt32(truncatingIfNeeded: old)
            done = tz_compare_exchange32(host, &expected, UInt32(truncatingIfNeeded: new))
        }
        if done { noteWrite(physical, slot) }
        return done
    }

    /// After a write that no TLB entry stands for: marks the page dirty and throws away code decoded from it.
    @inline(__always) func noteWrite(_ physical: UInt64, _ slot: UnsafeMutablePointer<MemorySlot>) {
        let page = slot.pointee.page(physical)
        tz_store8(slot.pointee.dirty + page, 1)
        if tz_load32(slot.pointee.code + page) != 0 { owner.codeWritten(physical) }
    }

    // MARK: Devices

    @inline(never) private func readDevice(_ physical: UInt64, size: Int) -> UInt64 {
        state.pointee.counters.mmio_accesses &+= 1
        syncClock()
        let value = readDeviceRegister(physical, size: size)
        heedAttention()
        if traces(.mmio) { trace(.mmio(write: false, address: physical, size: size, value: value)) }
        return value
    }

    @inline(never) private func writeDevice(_ physical: UInt64, size: Int, value: UInt64) {
        state.pointee.counters.mmio_accesses &+= 1
        let value = size >= 8 ? value : value & (1 << UInt64(8 &* size) &- 1)
        if traces(.mmio) { trace(.mmio(write: true, address: physical, size: size, value: value)) }
        syncClock()
        writeDeviceRegister(physical, size: size, value: value)
        heedAttention()
    }

    private func readDeviceRegister(_ physical: UInt64, size: Int) -> UInt64 {
        if physical & ~0xfff == translation.pointee.apicPage {
            let offset = UInt32(truncatingIfNeeded: physical & 0xffc)
            // Registers are 32 bits wide at 16-byte steps; what lies between reads as zero.
            guard offset & 0xf == 0 else { return 0 }
            let value = UInt64(withLocalAPIC { $0.readRegister(offset: offset) }) >> (8 &* (physical & 3))
            return size >= 4 ? value : value & (1 << UInt64(8 &* size) &- 1)
        }
        var value: UInt64 = 0
        var done = 0
        while done < size {
            let piece = Self.piece(physical &+ UInt64(done), left: size &- done, whole: size)
            var part = withBus { $0.readMMIO(physical &+ UInt64(done), size: piece) }
            if piece < 8 { part &= 1 << UInt64(8 &* piece) &- 1 }
            value |= part << UInt64(8 &* done)
            done &+= piece
        }
        return value
    }

    private func writeDeviceRegister(_ physical: UInt64, size: Int, value: UInt64) {
        if physical & ~0xfff == translation.pointee.apicPage {
            // Only aligned 32-bit writes are defined (SDM volume 3, section 11.4.1); the rest is ignored.
            let offset = UInt32(truncatingIfNeeded: physical & 0xfff)
            guard offset & 0xf == 0, size >= 4 else { return }
            return withLocalAPIC { $0.writeRegister(offset: offset, value: UInt32(truncatingIfNeeded: value)) }
        }
        var done = 0
        while done < size {
            let piece = Self.piece(physical &+ UInt64(done), left: size &- done, whole: size)
            var part = value >> UInt64(8 &* done)
            if piece < 8 { part &= 1 << UInt64(8 &* piece) &- 1 }
            withBus { $0.writeMMIO(physical &+ UInt64(done), size: piece, value: part) }
            done &+= piece
        }
    }

    /// The size of the next bus cycle: the whole of an ordinary operand, or aligned pieces of a page-crossing one.
    private static func piece(_ address: UInt64, left: Int, whole: Int) -> Int {
        if left == whole && whole & (whole &- 1) == 0 { return whole }
        var piece = 1
        while piece < 4 && address & UInt64(piece) == 0 && piece &* 2 <= left { piece &*= 2 }
        return piece
    }
}
