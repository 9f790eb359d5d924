// Who has which bytes of guest RAM before the guest runs. Loaders claim what the kernel's file dictates, then ask for
// room for everything else; nothing is ever laid over something else. Knows no boot protocol.

/// The free and taken parts of usable guest memory while a boot is prepared.
package struct BootLayout {
    /// Which way to look for room.
    package enum Direction {
        case upward
        case downward
    }

    /// The map that the kernel will be given.
    package let map: MemoryMap

    /// Free ranges in ascending order.
    private var free: [Range<UInt64>]

    /// All usable memory is free, apart from the interrupt vector table and the BIOS data area.
    package init(map: MemoryMap) {
        self.map = map
        free = map.usable
        exclude(0..<PCMemory.biosData.upperBound)
    }

    /// Takes a range that must be free as a whole; otherwise nothing is taken and the result is false.
    package mutating func claim(_ range: Range<UInt64>) -> Bool {
        guard !range.isEmpty else { return true }
        guard
            let index = free.firstIndex(where: {
                $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound
            })
        else { return false }
        let whole = free[index]
        let rest = [whole.lowerBound..<range.lowerBound, range.upperBound..<whole.upperBound]
        free.replaceSubrange(index...index, with: rest.filter { !$0.isEmpty })
        return true
    }

    /// Takes whatever is still free of a range.
    package mutating func exclude(_ range: Range<UInt64>) {
        free = free.flatMap { whole -> [Range<UInt64>] in
            guard whole.overlaps(range) else { return [whole] }
            let before = whole.lowerBound..<max(whole.lowerBound, range.lowerBound)
            let after = min(whole.upperBound, range.upperBound)..<whole.upperBound
            return [before, after].filter { !$0.isEmpty }
        }
    }

    /// Takes `count` bytes at the lowest or highest multiple of `alignment` (a power of two) within `window`; nil if
    /// there is no such room.
    package mutating func allocate(
        _ count: UInt64, alignment: UInt64, within window: Range<UInt64>, _ direction: Direction
    ) -> UInt64? {
        let candidates = free.lazy.compactMap { range -> UInt64? in
            let room = range.clamped(to: window)
            guard room.upperBound - room.lowerBound >= count else { return nil }
            switch direction {
            case .upward:
                guard let start = room.lowerBound.roundedUp(to: alignment), start <= room.upperBound,
                    room.upperBound - start >= count
                else { return nil }
                return start
            case .downward:
                let start = (room.upperBound - count).roundedDown(to: alignment)
                return start >= room.lowerBound ? start : nil
            }
        }
        let start = direction == .upward ? candidates.first : candidates.reversed().first
        guard let start, let range = start.range(count: count), claim(range) else { return nil }
        return start
    }
}
