// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Hardware;

/// <summary>Memory that was read somewhere else: a dump in pieces, each at its address.</summary>
/// <remarks>Reading is safe for concurrent use once the pieces are in.</remarks>
public sealed class MemoryImage : IMemoryReader
{
    private readonly SortedList<ulong, ReadOnlyMemory<byte>> _pieces = [];

    /// <summary>Puts a piece in.</summary>
    /// <param name="address">Byte address of its first byte.</param>
    /// <param name="bytes">Its bytes, in the order of their addresses.</param>
    /// <exception cref="ArgumentException">It overlaps a piece that is in, or runs over the end of the address
    /// space.</exception>
    public void Add(ulong address, ReadOnlyMemory<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        ulong last = address + (ulong)bytes.Length - 1;
        if (last < address)
        {
            throw new ArgumentException(
                Text($"{bytes.Length} bytes at 0x{address:x} run over the end of the address space."), nameof(bytes));
        }

        int before = LastAtOrBelow(last);
        if (before >= 0 && End(before) >= address)
        {
            throw new ArgumentException(
                Text($"{bytes.Length} bytes at 0x{address:x} overlap the piece at 0x{_pieces.Keys[before]:x}."),
                nameof(address));
        }

        _pieces.Add(address, bytes);
    }

    public ulong ReadQword(ulong address)
    {
        Check(address, 8);
        Span<byte> bytes = stackalloc byte[8];
        Read(address, bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    public uint ReadDword(ulong address)
    {
        Check(address, 4);
        Span<byte> bytes = stackalloc byte[4];
        Read(address, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public void Read(ulong address, Span<byte> destination)
    {
        destination.Clear();
        while (!destination.IsEmpty)
        {
            int piece = LastAtOrBelow(address);
            if (piece >= 0 && End(piece) >= address)
            {
                ReadOnlySpan<byte> source = _pieces.Values[piece].Span[(int)(address - _pieces.Keys[piece])..];
                int count = Math.Min(source.Length, destination.Length);
                source[..count].CopyTo(destination);
                destination = destination[count..];
                address += (ulong)count;
                continue;
            }

            // Up to the next piece nothing is backed.
            int next = piece + 1;
            if (next == _pieces.Count || _pieces.Keys[next] - address >= (ulong)destination.Length)
            {
                return;
            }

            int skip = (int)(_pieces.Keys[next] - address);
            destination = destination[skip..];
            address += (ulong)skip;
        }
    }

    public bool IsBacked(ulong address, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        while (bytes > 0)
        {
            int piece = LastAtOrBelow(address);
            if (piece < 0 || End(piece) < address)
            {
                return false;
            }

            ulong here = End(piece) - address + 1;
            if (here >= (ulong)bytes)
            {
                return true;
            }

            bytes -= (long)here;
            address += here;
            if (address == 0)
            {
                return false;
            }
        }

        return true;
    }

    private static void Check(ulong address, uint bytes)
    {
        if ((address & (bytes - 1)) != 0)
        {
            throw new ArgumentException(Text($"Address 0x{address:x} is not a multiple of {bytes}."), nameof(address));
        }
    }

    private ulong End(int piece) => _pieces.Keys[piece] + (ulong)_pieces.Values[piece].Length - 1;

    // Index of the piece that begins last at or below an address; -1 for none.
    private int LastAtOrBelow(ulong address)
    {
        int low = 0;
        int high = _pieces.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_pieces.Keys[middle] <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }
}
