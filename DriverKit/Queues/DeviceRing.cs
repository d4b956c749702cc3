// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Queues;

/// <summary>
/// The hardware's side of a ring in memory: reads commands, writes records, and trusts nothing in its registers.
/// </summary>
/// <remarks>Positions are register values: an index with a wrap bit above it, further bits ignored.</remarks>
/// <param name="memory">The memory as the hardware sees it.</param>
/// <param name="address">Physical byte address of the first place.</param>
/// <param name="slotsLog2">log2 of its places, 0 to 30.</param>
/// <param name="entryBytes">Bytes of an entry, a multiple of 8.</param>
public readonly struct DeviceRing(IDeviceMemory memory, ulong address, int slotsLog2, int entryBytes)
{
    /// <summary>Places of the ring.</summary>
    public uint Slots => 1u << slotsLog2;

    /// <summary>The position after another, wrap bit included.</summary>
    public uint Next(uint position) => (position + 1) & ((Slots << 1) - 1);

    /// <summary>Whether two positions are the same: nothing is between them.</summary>
    public bool IsEmpty(uint producer, uint consumer) => ((producer ^ consumer) & ((Slots << 1) - 1)) == 0;

    /// <summary>Whether every place is in use: same index, other wrap bit.</summary>
    public bool IsFull(uint producer, uint consumer) => ((producer ^ consumer) & ((Slots << 1) - 1)) == Slots;

    /// <summary>Reads the entry at a position.</summary>
    /// <returns>Whether there is memory.</returns>
    public bool TryRead(uint position, Span<ulong> entry)
    {
        ulong at = AddressOf(position);
        if (!memory.IsBacked(at, entryBytes))
        {
            return false;
        }

        memory.ReadWords(at, entry);
        return true;
    }

    /// <summary>Writes the entry at a position; the producer moves after it.</summary>
    /// <returns>Whether there is memory.</returns>
    public bool TryWrite(uint position, ReadOnlySpan<ulong> entry)
    {
        ulong at = AddressOf(position);
        if (!memory.IsBacked(at, entryBytes))
        {
            return false;
        }

        for (int word = 0; word < entry.Length; word++)
        {
            memory.WriteQword(at + ((ulong)word * sizeof(ulong)), entry[word]);
        }

        return true;
    }

    private ulong AddressOf(uint position) => address + ((ulong)(position & (Slots - 1)) * (uint)entryBytes);
}
