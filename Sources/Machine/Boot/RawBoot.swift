// Starts what follows no protocol: flat binaries, entered where the user says, and firmware, entered at the reset vector.

import Memory
import VirtualCPU

extension BootContext {
    /// Copies a flat binary into memory, and returns the state for entering it.
    package mutating func loadFlat(
        _ file: BootImage, at address: UInt64, entry: UInt64, _ mode: BootSource.EntryMode
    ) throws(BootError) -> CPUState {
        let image = try OpenImage(file)
        let regions = memory.regions.filter { !$0.readOnly }.map { $0.base.rawValue..<$0.base.rawValue + $0.size }
        guard let range = address.range(count: image.size),
            let region = regions.first(where: { $0.contains(address) }), range.upperBound <= region.upperBound
        else {
            throw .doesNotFit(
                file: image.name, reason: "no RAM for \(image.size) bytes at \(address.hex)", memory: memory.size)
        }
        let reachable = mode == .real16 ? PCMemory.extended : mode == .protected32 ? PCMemory.fourGiB : .max
        guard range.contains(entry), entry < reachable else {
            throw .unsupported(
                file: image.name,
                reason: range.contains(entry)
                    ? "its entry \(entry.hex) cannot be reached in the CPU mode asked for"
                    : "its entry \(entry.hex) is outside of what is loaded")
        }
        layout.exclude(range)
        var state: CPUState
        switch mode {
        case .real16:
            state = .real16(entry: entry)
        case .protected32:
            state = try .protected32(entry: entry, in: &self, file: image.name)
            state.gpr[CPUState.Register.rsp] = try placeStack(file: image.name)
        case .long64:
            state = try .long64(entry: entry, in: &self, file: image.name)
            state.gpr[CPUState.Register.rsp] = try placeStack(file: image.name)
        }
        try image.load(from: 0, count: image.size, into: memory, at: address)
        return state
    }

    /// A page of stack; the result is its end.
    private mutating func placeStack(file: String) throws(BootError) -> UInt64 {
        try allocateHandover(Int(pageSize), alignment: pageSize, file: file) + pageSize
    }
}

/// Maps a firmware image as ROM that ends at 4 GiB, and copies its end below 1 MiB as RAM, where it expects itself when it
/// leaves the reset vector behind. The CPU starts as it is after RESET.
package func loadFirmware(_ file: BootImage, into memory: GuestMemory) throws(BootError) -> CPUState {
    /// From here on there is nothing else below 4 GiB: the local APICs end before.
    let romStart: UInt64 = 0xff00_0000
    let shadowLimit: UInt64 = 128 << 10
    let resetVectorSize: UInt64 = 16

    guard memory.size >= PCMemory.extended else { throw .memoryTooSmall(size: memory.size) }
    let image = try OpenImage(file)
    let limit = PCMemory.fourGiB - romStart
    guard image.size <= limit else { throw .tooLarge(file: image.name, size: image.size, limit: limit) }
    guard image.size >= resetVectorSize else {
        throw .truncated(file: image.name, reason: "\(image.size) bytes have no room for a reset vector")
    }
    let contents = try image.prefix(Int(image.size))
    let padding = Int((pageSize - image.size % pageSize) % pageSize)
    let rom = [UInt8](repeating: 0xff, count: padding) + contents
    let shadow = min(image.size, shadowLimit)
    do throws(GuestMemoryError) {
        try memory.addROM(base: GuestPhysicalAddress(PCMemory.fourGiB - UInt64(rom.count)), contents: rom)
        try memory.write(
            Array(contents.suffix(Int(shadow))), at: GuestPhysicalAddress(PCMemory.extended - shadow))
    } catch {
        throw .memory(error)
    }
    return CPUState()
}
