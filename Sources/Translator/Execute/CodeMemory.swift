// Memory for one vCPU's generated code and what goes with it: translations, links and sites, each in an arena that is
// filled in order and emptied as a whole. The code is mapped twice, for writing and for execution, and never both
// through one mapping.

import CPrimitives
import Foundation
import Memory
import VirtualCPU
import X86

/// The arenas of one translator.
struct CodeMemory: ~Copyable {
    static let size = 256 << 20
    static let translationCapacity = 1 << 19
    static let linkCapacity = 1 << 21
    static let siteCapacity = 1 << 20
    /// Whenever so much more is full, what is full counts once instead of twice in the process's resident memory.
    private static let segment = 2 << 20
    /// More than the code of one block can take.
    static let largestBlock = 128 << 10

    // SAFETY: two mappings of the same memory and four allocations, all owned by this value. Only what lies behind
    // the fill marks is written, but for jumps that are patched while their vCPU runs no generated code.
    private let writable: UnsafeMutablePointer<UInt8>
    private let executable: UnsafeMutablePointer<UInt8>
    let translations: UnsafeMutablePointer<Translation>
    let links: UnsafeMutablePointer<Link>
    let sites: UnsafeMutablePointer<Site>
    /// How often each link was looked up since it was cut.
    let follows: UnsafeMutablePointer<UInt8>
    private(set) var translationCount = 0
    private(set) var linkCount = 0
    private(set) var siteCount = 0
    private var used = 0
    private let reserved: Int
    // What comes next of each is there before it is touched.
    private var prepared:
        (
            writable: PreparedMemory, executable: PreparedMemory, translations: PreparedMemory, links: PreparedMemory,
            sites: PreparedMemory
        )
    /// Jumps to the C functions that generated code calls and jumps to, within reach of it.
    let gates: Gates

    /// The addresses of those jumps, in the writable mapping.
    struct Gates {
        let exit: UnsafePointer<UInt8>
        let exitSaved: UnsafePointer<UInt8>
        let leaveHere: UnsafePointer<UInt8>
        let follow: UnsafePointer<UInt8>
        let followSaved: UnsafePointer<UInt8>
        let lookUp: UnsafePointer<UInt8>
        let proceed: UnsafePointer<UInt8>
        let step: UnsafePointer<UInt8>
        let stepSaved: UnsafePointer<UInt8>
        let stepLost: UnsafePointer<UInt8>
        let microRead: UnsafePointer<UInt8>
        let microWrite: UnsafePointer<UInt8>
        let spanRead: UnsafePointer<UInt8>
        let spanWrite: UnsafePointer<UInt8>
        let splitRead: UnsafePointer<UInt8>
        let splitWrite: UnsafePointer<UInt8>
        let splitEnd: UnsafePointer<UInt8>
        let flags: UnsafePointer<UInt8>
        let systemCall: UnsafePointer<UInt8>
        let systemReturn: UnsafePointer<UInt8>
        /// By the binary logarithm of an element's bytes.
        let moves: InlineArray<4, UnsafePointer<UInt8>>
        let stores: InlineArray<4, UnsafePointer<UInt8>>

        /// Writes them.
        init(_ code: inout HostAssembler) {
            func gate(_ function: @convention(c) () -> Void) -> UnsafePointer<UInt8> {
                let start = UnsafePointer(code.cursor)
                code.bytes(0xff, 0x25, 0, 0, 0, 0)  // jmp [rip]
                code.int64(UInt64(UInt(bitPattern: unsafeBitCast(function, to: UnsafeRawPointer.self))))
                return start
            }
            exit = gate(tz_translated_exit)
            exitSaved = gate(tz_translated_exit_saved)
            leaveHere = gate(tz_translated_leave_here)
            follow = gate(tz_translated_follow)
            followSaved = gate(tz_translated_follow_saved)
            lookUp = gate(tz_translated_look_up)
            proceed = gate(tz_translated_proceed)
            step = gate(tz_translated_step)
            stepSaved = gate(tz_translated_step_saved)
            stepLost = gate(tz_translated_step_lost)
            microRead = gate(tz_translated_micro_read)
            microWrite = gate(tz_translated_micro_write)
            spanRead = gate(tz_translated_span_read)
            spanWrite = gate(tz_translated_span_write)
            splitRead = gate(tz_translated_split_read)
            splitWrite = gate(tz_translated_split_write)
            splitEnd = gate(tz_translated_split_end)
            flags = gate(tz_translated_flags)
            systemCall = gate(tz_translated_system_call)
            systemReturn = gate(tz_translated_system_return)
            moves = [
                gate(tz_translated_move8), gate(tz_translated_move16), gate(tz_translated_move32),
                gate(tz_translated_move64),
            ]
            stores = [
                gate(tz_translated_store8), gate(tz_translated_store16), gate(tz_translated_store32),
                gate(tz_translated_store64),
            ]
        }
    }

    init() throws(EngineError) {
        (writable, executable) = try Self.map()
        translations = pageAligned(Self.translationCapacity)
        links = pageAligned(Self.linkCapacity)
        sites = pageAligned(Self.siteCapacity)
        follows = pageAligned(Self.linkCapacity)
        prepared = (
            PreparedMemory(writable, size: Self.size), PreparedMemory(executable, size: Self.size, isWritten: false),
            PreparedMemory(translations, size: Self.translationCapacity * MemoryLayout<Translation>.stride),
            PreparedMemory(links, size: Self.linkCapacity * MemoryLayout<Link>.stride),
            PreparedMemory(sites, size: Self.siteCapacity * MemoryLayout<Site>.stride)
        )
        var code = HostAssembler(at: writable)
        gates = Gates(&code)
        reserved = (code.cursor - writable + 63) & ~63
        used = reserved
    }

    /// Both mappings of new memory; signals in the executable one are watched for. Shared memory without a file: Linux perf
    /// looks for names only of code that has none.
    private static func map() throws(EngineError) -> (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>) {
        guard let writable = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            writable != MAP_FAILED
        else { throw unavailable(errno) }
        guard let executable = tz_second_mapping(writable, size) else {
            let error = errno
            munmap(writable, size)
            throw unavailable(error)
        }
        guard mprotect(executable, size, PROT_READ | PROT_EXEC) == 0 else {
            let error = errno
            munmap(writable, size)
            munmap(executable, size)
            throw unavailable(error)
        }
        let error = tz_translated_watch(executable, executable + size)
        guard error == 0 else {
            munmap(writable, size)
            munmap(executable, size)
            throw unavailable(-error)
        }
        return (
            writable.assumingMemoryBound(to: UInt8.self), executable.assumingMemoryBound(to: UInt8.self)
        )
    }

    deinit {
        tz_translated_unwatch(executable)
        munmap(writable, Self.size)
        munmap(executable, Self.size)
        free(translations)
        free(links)
        free(sites)
        free(follows)
    }

    private static func unavailable(_ error: Int32) -> EngineError {
        EngineError("the host gives no executable memory for translated code: \(String(cString: strerror(error)))")
    }

    // MARK: Filling

    /// Whether one more block fits, whatever it is.
    var hasRoom: Bool {
        used + Self.largestBlock <= Self.size && translationCount < Self.translationCapacity
            && linkCount + 24 <= Self.linkCapacity && siteCount + 6 * Block.maximumCount <= Self.siteCapacity
    }

    /// Where the next block's code goes, in the writable mapping.
    var next: UnsafeMutablePointer<UInt8> { writable + used }

    /// Has the host's memory for one more block of a usual size.
    mutating func prepare() {
        prepared.writable.reach(used + 4096)
        prepared.executable.reach(used + 4096)
        prepared.translations.reach((translationCount + 1) * MemoryLayout<Translation>.stride)
        prepared.links.reach((linkCount + 8) * MemoryLayout<Link>.stride)
        prepared.sites.reach((siteCount + 32) * MemoryLayout<Site>.stride)
    }

    /// Enters a link, whose number is `linkCount` before.
    mutating func addLink(_ link: Link) {
        links[linkCount] = link
        follows[linkCount] = 0
        linkCount += 1
    }

    /// Enters a site, by its host address in the writable mapping.
    mutating func add(_ site: BlockEncoder.Site) {
        sites[siteCount] = Site(
            host: UInt32(site.host - UnsafePointer(writable)), offset: site.offset, flags: site.flags,
            behind: site.behind, isFailedGroup: site.isFailedGroup)
        siteCount += 1
    }

    /// Enters a translation whose code was written at `next`.
    mutating func add(_ translation: Translation) -> UnsafeMutablePointer<Translation> {
        let place = translations + translationCount
        place.initialize(to: translation)
        translationCount += 1
        let full = used / Self.segment
        used = (translation.end - writable + 15) & ~15
        if used / Self.segment > full { letGo(of: used & ~(Self.segment - 1)) }
        return place
    }

    /// This mapping is done with so many bytes, but for jumps that are patched. What they hold stays where it is executed; a page
    /// that is written to again comes back.
    private func letGo(of size: Int) {
        // Nothing is lost if the host does not.
        _ = madvise(writable, size, MADV_DONTNEED)
    }

    /// Forgets everything.
    mutating func removeAll() {
        used = reserved
        prepared.writable.startOver()
        translationCount = 0
        linkCount = 0
        siteCount = 0
    }

    // MARK: Addresses

    /// What the host executes for code that was written at an address.
    @inline(__always) func executable(_ address: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        UnsafePointer(executable + (address - UnsafePointer(writable)))
    }

    /// The translation whose code an executable address lies in; nil if there is none.
    func translation(at address: UInt64) -> UnsafeMutablePointer<Translation>? {
        let start = UInt64(UInt(bitPattern: executable))
        guard address >= start, address - start < UInt64(used) else { return nil }
        let host = writable + Int(address - start)
        // Translations are in order of their addresses.
        var low = 0
        var high = translationCount
        while low < high {
            let middle = (low + high) / 2
            if translations[middle].landing <= host { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? translations + (low - 1) : nil
    }

    /// The site at the executable address at which a signal stopped generated code; nil if none can be there.
    func site(at address: UInt64) -> Site? {
        let start = UInt64(UInt(bitPattern: executable))
        guard address >= start, address - start < UInt64(used) else { return nil }
        let host = UInt32(truncatingIfNeeded: address - start)
        // Sites are in order of their addresses.
        var low = 0
        var high = siteCount
        while low < high {
            let middle = (low + high) / 2
            if sites[middle].host <= host { low = middle + 1 } else { high = middle }
        }
        guard low > 0, host - sites[low - 1].host < 64 else { return nil }
        return sites[low - 1]
    }
}
