// The MMIO bus: which device answers at which guest-physical addresses outside of memory. Guarded by the device lock.

import Memory

/// A device behind guest-physical addresses. Offsets count from its base, which it does not know.
package protocol MMIODevice: AnyObject {
    /// Reads `size` bytes (a width that the claim declared).
    func readMMIO(_ offset: UInt64, size: Int) -> UInt64
    /// Writes the low `size` bytes of `value`.
    func writeMMIO(_ offset: UInt64, size: Int, value: UInt64)
}

/// The MMIO bus of one machine.
package final class MMIOBus {
    /// A class, so that to hold one for an access counts one reference.
    private final class Claim {
        let name: String
        let base: UInt64
        let last: UInt64
        let sizes: AccessSizes
        /// Nil where the range is only kept free. Closures for the sake of speed, as in `PortBus`.
        let read: ((UInt64, Int) -> UInt64)?
        let write: ((UInt64, Int, UInt64) -> Void)?

        init(
            name: String, base: UInt64, last: UInt64, sizes: AccessSizes, read: ((UInt64, Int) -> UInt64)?,
            write: ((UInt64, Int, UInt64) -> Void)?
        ) {
            (self.name, self.base, self.last, self.sizes) = (name, base, last, sizes)
            (self.read, self.write) = (read, write)
        }

        var description: String { "\(name) (\(base.hex)–\(last.hex))" }
    }

    private let memory: GuestMemory
    /// Sorted by base; they don't overlap.
    @exclusivity(unchecked) private var claims: [Claim] = []
    /// The one that took the last access.
    @exclusivity(unchecked) private var latest: Claim?

    /// Makes an empty bus around the machine's memory.
    package init(memory: GuestMemory) { self.memory = memory }

    // MARK: Layout

    /// Gives `size` bytes from `base` to a device, in the given widths.
    package func claim(
        base: UInt64, size: UInt64, name: String, sizes: AccessSizes, device: any MMIODevice
    ) throws(BusError) {
        try insert(base: base, size: size, name: name, sizes: sizes, device: device)
    }

    /// Keeps a range free of devices, because something else decodes it (local APICs do).
    package func reserve(base: UInt64, size: UInt64, name: String) throws(BusError) {
        try insert(base: base, size: size, name: name, sizes: .qword, device: nil)
    }

    /// Takes the claims of a name away (a BAR that moves).
    package func release(name: String) {
        claims.removeAll { $0.name == name }
        latest = nil
    }

    private func insert(
        base: UInt64, size: UInt64, name: String, sizes: AccessSizes, device: (any MMIODevice)?
    ) throws(BusError) {
        let (last, wraps) = base.addingReportingOverflow(size &- 1)
        let claim = Claim(
            name: name, base: base, last: last, sizes: sizes,
            read: device.map { device in { device.readMMIO($0, size: $1) } },
            write: device.map { device in { device.writeMMIO($0, size: $1, value: $2) } })
        guard size > 0, !wraps, !sizes.isEmpty else { throw .invalid(claim.description) }
        if let other = claims.first(where: { $0.base <= last && base <= $0.last }) {
            throw .overlap(new: claim.description, existing: other.description)
        }
        for region in memory.regions {
            let (start, end) = (region.base.rawValue, region.base.rawValue + region.size - 1)
            guard start <= last, base <= end else { continue }
            let kind = region.readOnly ? "ROM" : "RAM"
            throw .overlap(new: claim.description, existing: "\(kind) (\(start.hex)–\(end.hex))")
        }
        claims.insert(claim, at: claims.firstIndex { $0.base > base } ?? claims.count)
        latest = nil
    }

    /// One line for each claim, by address.
    package var layout: [String] { claims.map(\.description) }

    // MARK: Access

    private func claim(at address: UInt64) -> Claim? {
        if let latest, latest.base <= address, address <= latest.last { return latest }
        var (low, high) = (0, claims.count)
        while low < high {
            let middle = (low + high) / 2
            if claims[middle].last < address { low = middle + 1 } else { high = middle }
        }
        guard low < claims.count, claims[low].base <= address else { return nil }
        latest = claims[low]
        return latest
    }

    /// Reads 1, 2, 4 or 8 bytes. Nobody answers with all ones.
    package func read(_ address: UInt64, size: Int) -> UInt64 {
        let mask = UInt64.max >> UInt64(64 - size * 8)
        guard let claim = claim(at: address), let read = claim.read else {
            return splitRead(address, size: size, mask: mask)
        }
        guard claim.last - address >= UInt64(size - 1) else { return splitRead(address, size: size, mask: mask) }
        let offset = address - claim.base
        if claim.sizes.contains(size: size) { return read(offset, size) & mask }
        // Narrower than the device's registers: part of one.
        let narrowest = 1 << claim.sizes.rawValue.trailingZeroBitCount
        if size < narrowest {
            let start = offset & ~UInt64(narrowest - 1)
            let shift = (offset - start) * 8
            guard offset - start + UInt64(size) <= UInt64(narrowest),
                start + UInt64(narrowest - 1) <= claim.last - claim.base
            else { return splitRead(address, size: size, mask: mask) }
            return read(start, narrowest) >> shift & mask
        }
        return splitRead(address, size: size, mask: mask)
    }

    private func splitRead(_ address: UInt64, size: Int, mask: UInt64) -> UInt64 {
        let half = size >> 1
        guard half > 0 else { return 0xff }
        let low = read(address, size: half)
        return (low | read(address &+ UInt64(half), size: half) << UInt64(half * 8)) & mask
    }

    /// Writes 1, 2, 4 or 8 bytes. Writes narrower than a device's registers have no effect.
    package func write(_ address: UInt64, size: Int, value: UInt64) {
        let mask = UInt64.max >> UInt64(64 - size * 8)
        if let claim = claim(at: address), let write = claim.write, claim.last - address >= UInt64(size - 1),
            claim.sizes.contains(size: size)
        {
            return write(address - claim.base, size, value & mask)
        }
        let half = size >> 1
        guard half > 0 else { return }
        write(address, size: half, value: value)
        write(address &+ UInt64(half), size: half, value: value >> UInt64(half * 8))
    }
}
