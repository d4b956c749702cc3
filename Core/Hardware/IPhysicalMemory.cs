namespace PasidFramework.Hardware;

/// <summary>
/// Physical memory as a driver sees it: pages, little-endian stores, and the two orderings that matter to a table walker
/// that runs beside the CPU.
/// </summary>
/// <remarks>
/// Addresses are byte addresses. Every store and every flush can be observed, so order is testable. A walker that does
/// not snoop caches sees only what was flushed.
/// </remarks>
public interface IPhysicalMemory
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

    /// <summary>Loads 64 bits.</summary>
    /// <param name="address">Byte address, a multiple of 8.</param>
    /// <returns>The value; 0 where no memory is (see <see cref="IsBacked"/>).</returns>
    ulong ReadQword(ulong address);

    /// <summary>Stores 64 bits in one access: a walker sees all of it or none.</summary>
    /// <param name="address">Byte address, a multiple of 8, in allocated memory.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="ArgumentException">Misaligned, or no memory there.</exception>
    void WriteQword(ulong address, ulong value);

    /// <summary>Loads 32 bits from a multiple of 4.</summary>
    uint ReadDword(ulong address);

    /// <summary>Stores 32 bits at a multiple of 4.</summary>
    void WriteDword(ulong address, uint value);

    /// <summary>Loads bytes; what is not backed reads as 0.</summary>
    void Read(ulong address, Span<byte> destination);

    /// <summary>Stores bytes, in order of their address.</summary>
    void Write(ulong address, ReadOnlySpan<byte> source);

    /// <summary>Writes cached stores of the range back, so that a walker that does not snoop sees them.</summary>
    /// <param name="address">First byte.</param>
    /// <param name="bytes">Length in bytes.</param>
    void Flush(ulong address, int bytes);

    /// <summary>Orders all stores before it ahead of all stores after it (a write barrier).</summary>
    void StoreBarrier();

    /// <summary>Whether every byte of the range is memory.</summary>
    bool IsBacked(ulong address, long bytes);
}
