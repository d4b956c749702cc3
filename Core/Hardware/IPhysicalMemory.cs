// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Hardware;

/// <summary>
/// Physical memory as a driver sees it: pages, little-endian stores, and the two orderings that matter to a table
/// walker that runs beside the CPU.
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

    /// <summary>
    /// Orders all stores before it ahead of all stores after it (a write barrier); loads may still pass it.
    /// </summary>
    void StoreBarrier();

    /// <summary>
    /// Makes an entry's words what they are to be. Only those that differ are stored, each in one access and in the
    /// order of their addresses; where single stores are not observed, that is one comparison and one vector store.
    /// </summary>
    /// <param name="address">Byte address of the first word, a multiple of 8.</param>
    /// <param name="words">At most 32 words that no device changes by itself.</param>
    /// <returns>Bit i is set where word i was stored.</returns>
    /// <exception cref="ArgumentException">Misaligned, or no memory there.</exception>
    uint WriteWords(ulong address, ReadOnlySpan<ulong> words)
    {
        uint stored = 0;
        for (int i = 0; i < words.Length; i++)
        {
            ulong at = address + ((ulong)i * 8);
            if (ReadQword(at) != words[i])
            {
                WriteQword(at, words[i]);
                stored |= 1u << i;
            }
        }

        return stored;
    }

    /// <summary>
    /// Installs an entry that is not valid yet: all words but the first, as <see cref="WriteWords"/> stores them, a
    /// flush of the entry, a barrier, then the first word, which holds the valid bit, with its flush.
    /// </summary>
    /// <param name="address">Byte address of the entry, a multiple of 8.</param>
    /// <exception cref="ArgumentException">Misaligned, or no memory there.</exception>
    void WriteEntry(ulong address, ReadOnlySpan<ulong> words)
    {
        _ = WriteWords(address + 8, words[1..]);
        Flush(address, words.Length * 8);
        StoreBarrier();
        WriteQword(address, words[0]);
        Flush(address, 8);
    }

    /// <summary>Stores one value into every word of a range, each in one access, in the order of their
    /// addresses.</summary>
    /// <param name="address">Byte address of the first word, a multiple of 8.</param>
    /// <param name="count">Number of words.</param>
    /// <exception cref="ArgumentException">Misaligned, or no memory there.</exception>
    void FillWords(ulong address, int count, ulong value)
    {
        for (int i = 0; i < count; i++)
        {
            WriteQword(address + ((ulong)i * 8), value);
        }
    }
}
