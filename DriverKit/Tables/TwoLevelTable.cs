// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.DriverKit.Tables;

/// <summary>
/// Memory of a two-level (or linear) table that hardware walks. A leaf is allocated with its first entry, complete and
/// written back before it is linked by one store, and stays until <see cref="Dispose"/>, because hardware may hold the
/// pointer to it. Invalidations are the caller's.
/// </summary>
/// <typeparam name="TLink">Form of the links.</typeparam>
/// <remarks>
/// Not safe for concurrent use, but for <see cref="Leaves"/> and <see cref="Bytes"/>. Where the leaves are, and what
/// the caller notes of each entry, is kept beside the memory: nothing of it is read back.
/// </remarks>
public sealed class TwoLevelTable<TLink> : IDisposable
    where TLink : struct, ITableLink
{
    private readonly IPhysicalMemory _memory;
    private readonly TableGeometry _shape;
    private readonly Slot[] _slots;
    private readonly int _slotShift;
    private readonly uint _inSlot;
    private HashSet<uint>? _unconfirmed;
    private int _leaves;
    private bool _disposed;

    private TwoLevelTable(IPhysicalMemory memory, in TableGeometry shape, ulong root)
    {
        _memory = memory;
        _shape = shape;
        _slots = new Slot[shape.Slots];
        _slotShift = shape.IsLinear ? shape.IndexBits : shape.LeafBits;
        _inSlot = (1u << _slotShift) - 1;
        Root = root;
        if (shape.IsLinear)
        {
            _slots[0] = new Slot(root, new uint[1 << shape.IndexBits]);
        }
    }

    /// <summary>Byte address of the root.</summary>
    public ulong Root { get; }

    /// <summary>Leaves that were allocated; none in a linear table.</summary>
    public int Leaves => Volatile.Read(ref _leaves);

    /// <summary>Bytes of page memory in root and leaves.</summary>
    public long Bytes => InPages(_shape.RootBytes) + (long)Leaves * _shape.LeafBytes;

    /// <summary>Makes an empty table, written back; the caller that points hardware to it orders that.</summary>
    /// <param name="memory">Memory that the hardware walks.</param>
    /// <returns>The table; ENOMEM.</returns>
    [SuppressMessage("Design", "CA1000", Justification = "A constructor cannot refuse.")]
    public static OpResult<TwoLevelTable<TLink>> Create(IPhysicalMemory memory, in TableGeometry shape)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult<ulong> root = memory.AllocatePages(shape.RootBytes, shape.RootAlignment);
        if (!root.IsOk)
        {
            return OpResult<TwoLevelTable<TLink>>.Refuse(root.Outcome);
        }

        memory.Flush(root.Value, (int)InPages(shape.RootBytes));
        return OpResult<TwoLevelTable<TLink>>.Ok(new TwoLevelTable<TLink>(memory, shape, root.Value));
    }

    /// <summary>Byte address of an entry; 0 where its leaf does not exist.</summary>
    /// <param name="index">Below 2^<see cref="TableGeometry.IndexBits"/>.</param>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    /// <exception cref="IndexOutOfRangeException">The index is beyond the table.</exception>
    public ulong Find(uint index)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ulong first = _slots[index >> _slotShift].Address;
        return first == 0 ? 0 : first + (index & _inSlot) * (ulong)_shape.EntryBytes;
    }

    /// <summary>What the caller notes of an entry, 0 at first. It is not in memory.</summary>
    /// <param name="index">An index whose leaf exists.</param>
    public ref uint State(uint index) => ref _slots[index >> _slotShift].States[index & _inSlot];

    /// <summary>Adds the leaf of an index, with the words of its first entry in it, and links it by one
    /// store.</summary>
    /// <param name="index">An index without a leaf.</param>
    /// <param name="entry">The entry; empty where it is stored later.</param>
    /// <returns>Success: nothing may be cached of the path before that is confirmed; ENOMEM: nothing was
    /// changed.</returns>
    public OpResult AddLeaf(uint index, ReadOnlySpan<ulong> entry)
    {
        OpResult<ulong> leaf = _memory.AllocatePages(_shape.LeafBytes, _shape.LeafAlignment);
        if (!leaf.IsOk)
        {
            return leaf.Outcome;
        }

        // What neighbours read of the leaf are zeroes, which a walker that does not snoop must see as well (D3).
        _ = _memory.WriteWords(leaf.Value + (index & _inSlot) * (ulong)_shape.EntryBytes, entry);
        _memory.Flush(leaf.Value, _shape.LeafBytes);
        _memory.StoreBarrier();
        uint slot = index >> _slotShift;
        _slots[slot] = new Slot(leaf.Value, new uint[1 << _shape.LeafBits]);
        Volatile.Write(ref _leaves, _leaves + 1);
        ulong link = Root + slot * sizeof(ulong);
        _memory.WriteQword(link, TLink.Encode(leaf.Value));
        _memory.Flush(link, sizeof(ulong));
        return OpResult.Ok;
    }

    /// <summary>Whether hardware may still hold that an index has no leaf, because it did not confirm the
    /// link.</summary>
    public bool IsUnconfirmed(uint index) => _unconfirmed is { } slots && slots.Contains(index >> _slotShift);

    /// <summary>Notes whether hardware confirmed the path to an index.</summary>
    /// <param name="confirmed">What the invalidation of the path answered.</param>
    /// <returns><paramref name="confirmed"/>.</returns>
    public OpResult Confirm(uint index, OpResult confirmed)
    {
        if (!confirmed.IsOk)
        {
            (_unconfirmed ??= []).Add(index >> _slotShift);
        }
        else
        {
            _unconfirmed?.Remove(index >> _slotShift);
        }

        return confirmed;
    }

    /// <summary>Frees leaves and root; no hardware uses the table any more.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (Slot slot in _slots)
        {
            if (slot.Address != 0 && !_shape.IsLinear)
            {
                _memory.FreePages(slot.Address, _shape.LeafBytes);
            }
        }

        _memory.FreePages(Root, _shape.RootBytes);
        _leaves = 0;
    }

    private static long InPages(int bytes) => (bytes + 4095L) & ~4095L;
    private readonly record struct Slot(ulong Address, uint[] States);
}
