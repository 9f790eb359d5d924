// Links between blocks, and how they and the blocks go: all on the vCPU's thread, while it runs no generated code but
// for the gate that led here.

import CPrimitives
import X86

extension Translator {
    /// Leads a jump that left generated code to a block that was found for it.
    func link(_ number: Int32, to destination: UnsafeMutablePointer<Translation>) {
        let link = code.links + Int(number)
        // A block that reaches into a second page has to be looked up again whenever that may have moved: as across pages.
        let isMobile = link.pointee.isMobile || destination.pointee.block.pointee.secondPage != Block.noPage
        // A target that wrapped is not where the source's page says.
        let base = state.pointee.rip &- destination.pointee.block.pointee.address & 0xfff
        guard link.pointee.destination == nil, base == state.pointee.translated.code_base else { return }
        if link.pointee.isFollowed {
            // User code moves whenever the address space changes: most links would be cut before they paid.
            guard code.follows[Int(number)] == UInt8(TZ_FOLLOWED_OFTEN) else { return }
            code.follows[Int(number)] = 0
        }
        HostAssembler.patch(link.pointee.displacement, to: way(of: number, to: destination))
        link.pointee.destination = destination
        let first = destination.pointee.firstIncoming
        link.pointee.nextIncoming = first
        link.pointee.previousIncoming = -1
        if first >= 0 { code.links[Int(first)].previousIncoming = number }
        destination.pointee.firstIncoming = number
        if isMobile { mobility[destination.pointee.isUser].append(number) }
        statistics.linksMade += 1
    }

    /// Where a link is to lead, by what the destination needs and what is known of the flags.
    private func way(
        of number: Int32, to destination: UnsafeMutablePointer<Translation>
    ) -> UnsafeMutablePointer<UInt8> {
        let link = code.links + Int(number)
        let flags = link.pointee.flags
        let entries = destination.pointee.entries
        let isOpen = link.pointee.gates.isSuperset(of: destination.pointee.gates)
        let follow = flags.registers != 0 && flags.registers & destination.pointee.headRegisters == 0
        if let inheriting = entries.inheritingEntry, isOpen, follow {
            if flags.storesSource { return inheriting }
            if !flags.inState {
                var stub = HostAssembler(at: link.pointee.stub)
                stub.bequeathFlags(ofLink: number, to: inheriting)
                link.pointee.bequeaths = true
                return link.pointee.stub
            }
        }
        if flags.inState, !flags.inHost || entries.inheritingEntry != nil {
            return isOpen ? entries.savedOpenEntry : entries.savedEntry
        }
        return isOpen ? entries.openEntry : entries.entry
    }

    /// Makes a link lead to the dispatcher again.
    private func cut(_ number: Int32) {
        let link = code.links + Int(number)
        guard let destination = link.pointee.destination else { return }
        if link.pointee.bequeaths {
            var stub = HostAssembler(at: link.pointee.stub)
            stub.leave(
                byLink: number, target: Int32(link.pointee.target), isFollowed: link.pointee.isFollowed, code.gates,
                flagsInHost: true)
            link.pointee.bequeaths = false
        }
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
    @inline(__always) func place(_ translation: UnsafeMutablePointer<Translation>, at rip: UInt64) {
        // Where its page begins: RIP does not tell under code segments that begin elsewhere.
        let place = rip &- translation.pointee.block.pointee.address & 0xfff &+ state.pointee.translated.code_salt
        let page = translation.pointee.page
        let isUser = translation.pointee.isUser
        if page.pointee.place == place, page.pointee.epoch == epoch(isUser) { return }
        if page.pointee.epoch == epoch(isUser) { jumpsForgotten(user: isUser, supervisor: !isUser) }
        page.pointee = tz_code_page(place: place, epoch: epoch(isUser))
    }

    /// Counts the times that user or supervisor code may have moved.
    private func epoch(_ isUser: Bool) -> UInt64 {
        isUser ? state.pointee.translated.code_epochs.1 : state.pointee.translated.code_epochs.0
    }
}

/// Links to other pages, which hold only as long as linear addresses lead where they led: of user and of supervisor code.
struct Mobility {
    private var user: [Int32] = []
    private var supervisor: [Int32] = []

    subscript(isUser: Bool) -> [Int32] {
        @inline(__always) _read { if isUser { yield user } else { yield supervisor } }
        @inline(__always) _modify { if isUser { yield &user } else { yield &supervisor } }
    }
}

extension Translator: CodeObserver {
    func blockForgotten(_ block: UnsafeMutablePointer<Block>) { retire(block) }

    /// Takes away a block's translation.
    func retire(_ block: UnsafeMutablePointer<Block>) {
        guard let translation = block.pointee.translation?.assumingMemoryBound(to: Translation.self) else { return }
        block.pointee.translation = nil
        index.remove(block)
        while translation.pointee.firstIncoming >= 0 { cut(translation.pointee.firstIncoming) }
        // Indirect jumps may still find it: they leave right there, behind the load of `code_base`.
        var landing = HostAssembler(at: translation.pointee.landing)
        landing.load(Host.address, JumpTable.codeBase)
        landing.move32(
            Host.spare,
            immediate: UInt32(TZ_LEFT_BY_LANDING) | translation.pointee.offset << UInt32(TZ_LEFT_OFFSET_SHIFT))
        landing.jump(to: code.gates.exitSaved)
    }

    func allBlocksForgotten() {
        pendingLink = -1
        journal?.hand()
        performanceMap?.forget(ObjectIdentifier(self))
        code.removeAll()
        recovered.trace = nil
        // Links get new numbers.
        state.pointee.translated.flag_source = 0
        mobility = Mobility()
        index.removeAll()
        jumps.removeAll(user: true, supervisor: true)
    }

    func jumpsForgotten(user: Bool, supervisor: Bool) {
        jumps.removeAll(user: user, supervisor: supervisor)
        if user { forgetLinks(ofUser: true) }
        if supervisor { forgetLinks(ofUser: false) }
    }

    private func forgetLinks(ofUser isUser: Bool) {
        for number in mobility[isUser] { cut(number) }
        mobility[isUser].removeAll(keepingCapacity: true)
        if isUser { state.pointee.translated.code_epochs.1 += 1 } else { state.pointee.translated.code_epochs.0 += 1 }
    }
}
