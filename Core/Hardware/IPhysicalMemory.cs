using PasidFramework.Results;

namespace PasidFramework.Hardware;

/// <summary>
/// Physical memory as a driver sees it: pages, little-endian stores, and the two orderings that matter to a table walker
/// that runs beside the CPU.
/// </summary>
/// <remarks>
/// Addresses are byte addresses. Every store and every flush can be observed, so order is testable. A walker that does
/// not snoop caches sees only what was flushed.
/// </remarks>
public interface IPhysicalMemory : IDeviceMemory
{
    /// <summary>Takes zeroed, physically contiguous memory.</summary>
    /// <param name="bytes">Size in bytes, rounded up to 4096.</param>
    /// <param name="alignmentBytes">Alignment in bytes, a power of two, at least 4096.</param>
    /// <returns>The address, never 0; or ENOMEM.</returns>
    OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096);

    /// <summary>Gives memory back.</summary>
    /// <param name="address">An address that <see cref="AllocatePages"/> returned.</param>
    /// <param name="bytes">The size that was asked for.</param>
    /// <exception cref="ArgumentException">No such allocation.</exception>
    void FreePages(ulong address, int bytes);

    /// <summary>Writes cached stores of the range back, so that a walker that does not snoop sees them.</summary>
    /// <param name="address">First byte.</param>
    /// <param name="bytes">Length in bytes.</param>
    void Flush(ulong address, int bytes);

    /// <summary>Orders all stores before it ahead of all stores after it (a write barrier).</summary>
    void StoreBarrier();
}
