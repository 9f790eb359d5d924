// Links between blocks, and how they and the blocks go: all on the vCPU's thread, while it runs no generated code but
// for the gate that led here.

import CPrimitives
import X86

extension Translator {
    /// Leads a jump that left generated code to a block that was found for it.
    func link(_ number: Int32, to destination: UnsafeMutablePointer<Translation>) {
        let link = code.links + Int(number)
        // A block that reaches into a second page has to be looked up again whenever that may have moved: as across pages.
        let crosses = link.pointee.crossesPages || destination.pointee.block.pointee.secondPage != Block.noPage
        guard link.pointee.destination == nil else { return }
        HostAssembler.patch(link.pointee.displacement, to: destination.pointee.entry)
        link.pointee.destination = destination
        let first = destination.pointee.firstIncoming
        link.pointee.nextIncoming = first
        link.pointee.previousIncoming = -1
        if first >= 0 { code.links[Int(first)].previousIncoming = number }
        destination.pointee.firstIncoming = number
        if crosses { pageCrossingLinks.append(number) }
        statistics.linksMade += 1
    }

    /// Makes a link lead to the dispatcher again.
    private func cut(_ number: Int32) {
        let link = code.links + Int(number)
        guard let destination = link.pointee.destination else { return }
        HostAssembler.patch(link.pointee.displacement, to: link.pointee.stub)
        link.pointee.destination = nil
        statistics.linksCut += 1
        let (previous, next) = (link.pointee.previousIncoming, link.pointee.nextIncoming)
        if previous >= 0 {
            code.links[Int(previous)].nextIncoming = next
        } else {
            destination.pointee.firstIncoming = next
        }
        if next >= 0 { code.links[Int(next)].previousIncoming = previous }
    }

    /// A block is about to run at a linear address. Links across pages were made for one place of their page: if it
    /// is seen at another, they go.
    func place(_ translation: UnsafeMutablePointer<Translation>, at rip: UInt64) {
        let page = translation.pointee.block.pointee.address >> 12
        guard let known = placements[page] else {
            placements[page] = rip >> 12
            return
        }
        if known != rip >> 12 {
            jumpsForgotten()
            placements[page] = rip >> 12
        }
    }
}

extension Translator: CodeObserver {
    func blockForgotten(_ block: UnsafeMutablePointer<Block>) {
        guard let translation = block.pointee.translation?.assumingMemoryBound(to: Translation.self) else { return }
        block.pointee.translation = nil
        translation.pointee.isAlive = false
        while translation.pointee.firstIncoming >= 0 { cut(translation.pointee.firstIncoming) }
    }

    func allBlocksForgotten() {
        pendingLink = -1
        code.removeAll()
        pageCrossingLinks.removeAll(keepingCapacity: true)
        placements.removeAll(keepingCapacity: true)
        jumps.removeAll()
    }

    func jumpsForgotten() {
        jumps.removeAll()
        for number in pageCrossingLinks { cut(number) }
        pageCrossingLinks.removeAll(keepingCapacity: true)
        placements.removeAll(keepingCapacity: true)
    }
}
