// What was found to differ, and where.

import VirtualCPU

/// The first place at which two engines went different ways.
public struct Difference: Sendable {
    /// Instructions of all vCPUs after which they are known to be the same.
    public var lastSame: UInt64
    /// Instructions of all vCPUs after which they are known not to be.
    public var firstDifferent: UInt64
    /// Whether the two figures are one instruction apart, found by going from the last checkpoint again. If not, the
    /// difference did not come up again, so that it depends on what an engine keeps beside its state.
    public var isExact: Bool
    /// The clock, in nanoseconds.
    public var time: UInt64
    /// The number of questions to devices, counted from the start.
    public var events: Int
    /// The vCPU that ran.
    public var vcpu: Int
    /// How the engine that is checked left the way, if it was seen to.
    var departure: Departure?
    /// Both states of each vCPU that differs.
    var cpus: [(vcpu: Int, reference: CPUState, against: CPUState)] = []
    /// The first pages that differ, and how many there are.
    var pages: [PageDifference] = []
    var pageCount = 0
    /// The last instructions of the reference, as a trace writes them.
    var history: [String] = []

    /// The names of all state that differs, such as `RAX`, vCPU by vCPU.
    public var names: [String] {
        cpus.flatMap { cpu in
            zip(cpu.reference.fields, cpu.against.fields).filter { $0.value != $1.value }.map(\.0.name)
        }
    }

    /// Guest-physical addresses of the first bytes that differ, page by page; not all, if there are many.
    public var addresses: [UInt64] { pages.map(\.address) }

    /// Whether something is known to differ.
    var isThere: Bool { departure != nil || !cpus.isEmpty || pageCount > 0 }

    /// Notes what differs between two engines' states.
    mutating func compare(_ reference: [CPUState], _ against: [CPUState]) {
        for (vcpu, (a, b)) in zip(reference, against).enumerated() where a != b { cpus.append((vcpu, a, b)) }
    }

    /// Notes a page.
    mutating func add(_ page: PageDifference) {
        pageCount += 1
        if pages.count < 8 { pages.append(page) }
    }
}
