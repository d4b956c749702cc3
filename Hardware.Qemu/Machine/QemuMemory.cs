// SPDX-License-Identifier: Apache-2.0
using System.IO.MemoryMappedFiles;
using System.Numerics;

namespace PasidFramework.Qemu.Machine;

/// <summary>
/// The guest's RAM as a shared mapping: what is stored here is what QEMU's IOMMU walks, without a copy and without a
/// command.
/// </summary>
/// <remarks>
/// Addresses are guest physical byte addresses. QEMU and this process share the same pages, so stores are coherent.
/// Loads and stores take no lock; allocation does.
/// </remarks>
internal sealed unsafe class QemuMemory : IPhysicalMemory, IDisposable
{
    private readonly Lock _gate = new();
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _ram;
    private readonly Dictionary<ulong, (int Bytes, int Alignment)> _live = [];
    private readonly Dictionary<(int Bytes, int Alignment), Stack<ulong>> _free = [];
    private ulong _next;
    private long _allocatedBytes;
    private bool _disposed;

    /// <param name="path">The file, of the size of the RAM.</param>
    /// <param name="firstFree">First guest physical address that may be allocated.</param>
    public QemuMemory(string path, ulong ramBase, long bytes, ulong firstFree)
    {
        RamBase = ramBase;
        RamBytes = bytes;
        FirstPage = firstFree;
        _next = firstFree;
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, bytes);
        _view = _file.CreateViewAccessor(0, bytes);
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _ram = start + _view.PointerOffset;
    }

    public ulong RamBase { get; }

    /// <summary>Size of the RAM in bytes.</summary>
    public long RamBytes { get; }

    public ulong FirstPage { get; }

    /// <summary>Nothing from here on was allocated so far.</summary>
    public ulong EndOfUsed => Volatile.Read(ref _next);

    /// <summary>Bytes in live allocations.</summary>
    public long AllocatedBytes => Interlocked.Read(ref _allocatedBytes);

    public OpResult<ulong> AllocatePages(int bytes, int alignmentBytes = 4096)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        if (alignmentBytes < 4096 || !BitOperations.IsPow2(alignmentBytes))
        {
            throw new ArgumentOutOfRangeException(
                nameof(alignmentBytes), alignmentBytes, "Alignment is a power of two, at least 4096 bytes.");
        }

        int size = (bytes + 4095) & ~4095;
        lock (_gate)
        {
            ulong address;
            if (_free.TryGetValue((size, alignmentBytes), out Stack<ulong>? stack) && stack.Count > 0)
            {
                address = stack.Pop();
            }
            else
            {
                address = (_next + (ulong)alignmentBytes - 1) & ~((ulong)alignmentBytes - 1);
                if (address + (ulong)size > RamBase + (ulong)RamBytes)
                {
                    return OpResult<ulong>.Refuse(Errno.ENOMEM,
                        $"{size} bytes of page memory do not fit: the guest has {RamBytes} bytes of RAM");
                }

                _next = address + (ulong)size;
            }

            new Span<byte>(At(address, size), size).Clear();
            _live[address] = (size, alignmentBytes);
            _allocatedBytes += size;
            return OpResult<ulong>.Ok(address);
        }
    }

    public void FreePages(ulong address, int bytes)
    {
        lock (_gate)
        {
            if (!_live.TryGetValue(address, out (int Bytes, int Alignment) live)
                || live.Bytes != ((bytes + 4095) & ~4095))
            {
                throw new ArgumentException(Text($"No allocation of {bytes} bytes at 0x{address:x}."), nameof(address));
            }

            _live.Remove(address);
            _allocatedBytes -= live.Bytes;
            if (!_free.TryGetValue(live, out Stack<ulong>? stack))
            {
                _free[live] = stack = new Stack<ulong>();
            }

            stack.Push(address);
        }
    }

    public ulong ReadQword(ulong address)
    {
        CheckAlignment(address, 8);
        return IsBacked(address, 8) ? Volatile.Read(ref *(ulong*)At(address, 8)) : 0;
    }

    public uint ReadDword(ulong address)
    {
        CheckAlignment(address, 4);
        return IsBacked(address, 4) ? Volatile.Read(ref *(uint*)At(address, 4)) : 0;
    }

    public void Read(ulong address, Span<byte> destination)
    {
        if (IsBacked(address, destination.Length))
        {
            new ReadOnlySpan<byte>(At(address, destination.Length), destination.Length).CopyTo(destination);
            return;
        }

        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = IsBacked(address + (ulong)i, 1) ? *At(address + (ulong)i, 1) : (byte)0;
        }
    }

    public bool IsBacked(ulong address, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ulong offset = address - RamBase;
        return address >= RamBase && offset <= (ulong)RamBytes && (ulong)bytes <= (ulong)RamBytes - offset;
    }

    public void WriteQword(ulong address, ulong value)
    {
        CheckAlignment(address, 8);
        Volatile.Write(ref *(ulong*)At(address, 8), value);
    }

    public void WriteDword(ulong address, uint value)
    {
        CheckAlignment(address, 4);
        Volatile.Write(ref *(uint*)At(address, 4), value);
    }

    public void Write(ulong address, ReadOnlySpan<byte> source) =>
        source.CopyTo(new Span<byte>(At(address, source.Length), source.Length));

    public void Flush(ulong address, int bytes)
    {
        // QEMU's threads see this process's stores through the same caches.
    }

    public void StoreBarrier() => Thread.MemoryBarrier();

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }

    private static void CheckAlignment(ulong address, uint bytes)
    {
        if ((address & (bytes - 1)) != 0)
        {
            throw new ArgumentException(Text($"Address 0x{address:x} is not a multiple of {bytes}."), nameof(address));
        }
    }

    private byte* At(ulong address, long bytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return IsBacked(address, bytes)
            ? _ram + (address - RamBase)
            : throw new ArgumentException(Text($"No memory at 0x{address:x}."), nameof(address));
    }
}
