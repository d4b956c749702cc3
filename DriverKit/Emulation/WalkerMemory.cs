// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.DriverKit.Emulation;

/// <summary>The side of <see cref="ModelMemory"/> that walkers read and devices write.</summary>
internal sealed class WalkerMemory(Lock gate, SystemMemory cpu, WalkerPages seen, StoreBuffer pending) : IDeviceMemory
{
    public ulong ReadQword(ulong address)
    {
        RequireMultiple(address, 8);
        lock (gate)
        {
            if (!seen.TryRead(address, out ulong value))
            {
                seen.Stray(address);
            }

            return value;
        }
    }

    public uint ReadDword(ulong address)
    {
        RequireMultiple(address, 4);
        return (uint)(ReadQword(address & ~7UL) >> (int)((address & 4) * 8));
    }

    public void Read(ulong address, Span<byte> destination)
    {
        Span<byte> word = stackalloc byte[8];
        while (!destination.IsEmpty)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(word, ReadQword(address & ~7UL));
            int offset = (int)(address & 7);
            int count = Math.Min(8 - offset, destination.Length);
            word.Slice(offset, count).CopyTo(destination);
            destination = destination[count..];
            address += (uint)count;
        }
    }

    public bool IsBacked(ulong address, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (gate)
        {
            bool live = seen.IsLive(address, bytes);
            if (!live)
            {
                seen.Stray(address);
            }

            return live;
        }
    }

    public void WriteQword(ulong address, ulong value)
    {
        lock (gate)
        {
            seen.RequireLive(address, 8);
            cpu.WriteQword(address, value);
            Arrived(address, value);
        }
    }

    public void WriteDword(ulong address, uint value)
    {
        RequireMultiple(address, 4);
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Write(address, bytes);
    }

    public void Write(ulong address, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            int count = Math.Min(8 - (int)(address & 7), source.Length);
            lock (gate)
            {
                seen.RequireLive(address, count);
                cpu.Write(address, source[..count]);
                Arrived(address & ~7UL, cpu.ReadQword(address & ~7UL));
            }

            source = source[count..];
            address += (uint)count;
        }
    }

    private static void RequireMultiple(ulong address, uint bytes)
    {
        if ((address & (bytes - 1)) != 0)
        {
            throw new ArgumentException(Text($"Address 0x{address:x} is not a multiple of {bytes}."), nameof(address));
        }
    }

    // What a device writes (status words, records) is coherent for both sides: a store of the CPU to such a word that
    // is still on its way would be a race of the driver's own making. Page tables are changed by TryUpdateByDevice.
    private void Arrived(ulong address, ulong value)
    {
        pending.Overtaken(address);
        seen.Show(address, value);
    }
}
