// From a choice of kernel to its files in the cache: the cached ones when there are any, else by apt.

struct DebianFetcher {
    let cache: DebianCache
    /// Where the host's tools are looked up; colon-separated folders.
    let searchPath: String
    /// Takes one line at a time of what is going on.
    let progress: (String) -> Void

    /// The cache's entry for `kernel`. A whole entry is used without apt and without the network, unless `refresh`
    /// asks for the archive's newest.
    func entry(for kernel: DebianKernel, refresh: Bool) throws(DebianGuestError) -> DebianCache.Entry {
        if !refresh, let entry = cache.entry(for: kernel) { return entry }
        func refill() throws(DebianGuestError) -> DebianCache.Entry {
            // Another process may have just fetched it.
            if !refresh, let entry = cache.entry(for: kernel) { return entry }
            return try fetch(kernel)
        }
        return try cache.locked(refill, progress: progress)
    }

    /// The path of an entry's ELF kernel, which is taken out of its bzImage the first time.
    func elfKernel(of entry: DebianCache.Entry) throws(DebianGuestError) -> String {
        if HostFiles.exists(entry.elfKernelPath) { return entry.elfKernelPath }
        func extract() throws(DebianGuestError) {
            if HostFiles.exists(entry.elfKernelPath) { return }
            let work = try cache.makeWorkFolder()
            defer { HostFiles.removeTree(work) }
            let kernel = try KernelImage.vmlinux(
                of: try HostFiles.read(entry.kernelPath), path: entry.kernelPath,
                decompressor: HostDecompressor(searchPath: searchPath, folder: work))
            try HostFiles.write(kernel, to: work + "/vmlinux")
            try HostFiles.rename(work + "/vmlinux", to: entry.elfKernelPath)
        }
        try cache.locked(extract, progress: progress)
        return entry.elfKernelPath
    }

    private func fetch(_ kernel: DebianKernel) throws(DebianGuestError) -> DebianCache.Entry {
        let apt = AptClient(folder: cache.folder + "/apt", searchPath: searchPath, progress: progress)
        progress("fetching \(kernel.metapackage) and busybox-static with apt into \(cache.folder)")
        var shortfall = try apt.update(.release)
        if kernel.suite == .backports { shortfall = try apt.update(.backports) ?? shortfall }
        let work = try cache.makeWorkFolder()
        defer { HostFiles.removeTree(work) }
        let name: String
        do throws(DebianGuestError) {
            name = try apt.kernelPackage(of: kernel.metapackage, in: kernel.suite)
        } catch {
            throw shortfall ?? error
        }
        let kernelPackage = try apt.download(name, from: kernel.suite, into: work)
        let busyboxPackage = try apt.download("busybox-static", from: .release, into: work)
        progress("unpacking \(kernelPackage.package)")
        let contents = try DebianPackageContents(
            kernelPackage: DebianPackage(path: kernelPackage.path, searchPath: searchPath),
            busyboxPackage: DebianPackage(path: busyboxPackage.path, searchPath: searchPath),
            decompressor: HostDecompressor(searchPath: searchPath, folder: work))
        return try cache.store(contents, for: kernel)
    }
}
