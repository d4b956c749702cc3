// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Qemu.Tests.Support;

/// <summary>
/// The least driver of a virtio-iommu behind virtio-mmio registers (OASIS virtio 1.2, sections 3.1.1, 2.7, 4.2.2,
/// 5.13): one request at a time.
/// </summary>
internal sealed class HandMadeVirtio
{
    public const int EventSize = 4;
    public const int EventBytes = 24;
    private const int Size = 16;
    private const ulong RequestBuffer = 0x800;
    private const ulong TailBuffer = 0xC00;
    private const uint MapUnmap = 1 << 2;
    private const uint Probe = 1 << 4;
    private const uint BypassConfig = 1 << 6;
    private readonly ITestHardware _hardware;
    private readonly ulong _requests;
    private readonly ulong _events;
    private ushort _sent;
    private ushort _taken;

    public HandMadeVirtio(ITestHardware hardware)
    {
        _hardware = hardware;
        IRegisterFile registers = hardware.Registers;
        Assert.Equal(0x7472_6976u, registers.Read32(0x00));
        Assert.Equal(23u, registers.Read32(0x08));
        registers.Write32(0x70, 0);
        registers.Write32(0x70, 1);
        registers.Write32(0x70, 3);
        registers.Write32(0x14, 0);
        Offered = registers.Read32(0x10);
        registers.Write32(0x24, 0);
        registers.Write32(0x20, MapUnmap | Probe | BypassConfig);
        registers.Write32(0x24, 1);
        registers.Write32(0x20, 1);
        registers.Write32(0x70, 0xB);
        Assert.Equal(0xBu, registers.Read32(0x70));
        _requests = Queue(0, Size);
        _events = Queue(1, EventSize);
        for (int i = 0; i < EventSize; i++)
        {
            Descriptor(_events, i, _events + RequestBuffer + ((ulong)i * 32), EventBytes, isWritable: true, next: -1);
            Offer(_events, EventSize, (ushort)i, i);
        }

        registers.Write32(0x70, 0xF);
        registers.Write32(0x50, 1);
    }

    public uint Offered { get; }

    /// <summary>Sends a request; the answer is the tail's status, or -1 where the device wrote none.</summary>
    /// <param name="words">The request, tail included.</param>
    /// <param name="readable">Bytes before the tail.</param>
    /// <param name="writable">Bytes that the device writes, the tail included.</param>
    public int Send(ulong[] words, int readable, int writable = 4)
    {
        IPhysicalMemory memory = _hardware.Memory;
        memory.Store(_requests + RequestBuffer, words);
        Descriptor(_requests, 0, _requests + RequestBuffer, readable, isWritable: false, next: 1);
        Descriptor(_requests, 1, _requests + TailBuffer, writable, isWritable: true, next: -1);
        Offer(_requests, Size, _sent, 0);
        _hardware.Registers.Write32(0x50, 0);
        Assert.True(SpinWait.SpinUntil(
            () => (ushort)(memory.ReadDword(Used(_requests, Size)) >> 16) == (ushort)(_sent + 1),
            TimeSpan.FromMinutes(1)));
        uint length = memory.ReadDword(Used(_requests, Size) + 8 + ((ulong)(_sent % Size) * 8));
        _sent++;
        Span<byte> tail = stackalloc byte[4];
        memory.Read(_requests + TailBuffer + (ulong)writable - 4, tail);
        return length == 0 ? -1 : tail[0];
    }

    /// <summary>What the device wrote before the tail of the last answer.</summary>
    public byte[] Answer(int bytes)
    {
        var answer = new byte[bytes];
        _hardware.Memory.Read(_requests + TailBuffer, answer);
        return answer;
    }

    /// <summary>Takes one fault record and gives its buffer back; empty where there is none.</summary>
    public ulong[] TakeEvent()
    {
        IPhysicalMemory memory = _hardware.Memory;
        ulong used = Used(_events, EventSize);
        if ((ushort)(memory.ReadDword(used) >> 16) == _taken)
        {
            return [];
        }

        int head = (int)memory.ReadDword(used + 4 + ((ulong)(_taken % EventSize) * 8));
        Assert.Equal((uint)EventBytes, memory.ReadDword(used + 8 + ((ulong)(_taken % EventSize) * 8)));
        _taken++;
        ulong buffer = _events + RequestBuffer + ((ulong)head * 32);
        ulong[] words = [memory.ReadQword(buffer), memory.ReadQword(buffer + 8), memory.ReadQword(buffer + 16)];
        Offer(_events, EventSize, (ushort)(_taken + EventSize - 1), head);
        _hardware.Registers.Write32(0x50, 1);
        return words;
    }

    private static ulong Available(ulong queue, int size) => queue + ((ulong)size * 16);
    private static ulong Used(ulong queue, int size) => Available(queue, size) + 0x100;

    private ulong Queue(uint index, int size)
    {
        IRegisterFile registers = _hardware.Registers;
        ulong queue = _hardware.Memory.AllocatePages(4096).Value;
        registers.Write32(0x30, index);
        Assert.True(registers.Read32(0x34) >= size);
        registers.Write32(0x38, (uint)size);
        registers.Write64(0x80, queue);
        registers.Write64(0x90, Available(queue, size));
        registers.Write64(0xA0, Used(queue, size));
        registers.Write32(0x44, 1);
        Assert.Equal(1u, registers.Read32(0x44));
        return queue;
    }

    private void Descriptor(ulong queue, int index, ulong address, int bytes, bool isWritable, int next)
    {
        ulong flags = (isWritable ? 2UL : 0) | (next >= 0 ? 1UL : 0);
        _hardware.Memory.WriteQword(queue + ((ulong)index * 16), address);
        _hardware.Memory.WriteQword(
            queue + ((ulong)index * 16) + 8, (uint)bytes | (flags << 32) | ((ulong)Math.Max(next, 0) << 48));
    }

    private void Offer(ulong queue, int size, ushort position, int head)
    {
        Span<byte> entry = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(entry, (ushort)head);
        _hardware.Memory.Write(Available(queue, size) + 4 + ((ulong)(position % size) * 2), entry);
        _hardware.Memory.StoreBarrier();
        _hardware.Memory.WriteDword(Available(queue, size), (uint)(ushort)(position + 1) << 16);
    }
}
