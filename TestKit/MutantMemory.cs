// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>
/// Stands between a correct driver and the memory of a model, and makes it a broken one: everything passes but the one
/// action that the mutation names. What the driver wanted is recorded.
/// </summary>
public sealed class MutantMemory(IModelMemory inner, Mutation? mutation) : PassingMemory(inner)
{
    private readonly List<DriverAction> _actions = [];
    private (ulong Address, ulong Value)? _held;
    private int _stores;
    private int _flushes;
    private int _barriers;
    public bool Applied { get; private set; }

    /// <summary>What the driver did, or wanted to.</summary>
    public IReadOnlyList<DriverAction> Actions => _actions;

    public override void WriteQword(ulong address, ulong value) => Store(address, value);

    public override void WriteDword(ulong address, uint value)
    {
        ulong word = address & ~7UL;
        int shift = (int)(address & 4) * 8;
        Store(word, (Inner.ReadQword(word) & ~(0xFFFF_FFFFUL << shift)) | ((ulong)value << shift));
    }

    public override void Write(ulong address, ReadOnlySpan<byte> source)
    {
        Span<byte> bytes = stackalloc byte[8];
        while (!source.IsEmpty)
        {
            ulong word = address & ~7UL;
            int offset = (int)(address & 7);
            int count = Math.Min(8 - offset, source.Length);
            Inner.Read(word, bytes);
            source[..count].CopyTo(bytes[offset..]);
            Store(word, System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            source = source[count..];
            address += (uint)count;
        }
    }

    public override void Flush(ulong address, int bytes)
    {
        int number = _flushes++;
        _actions.Add(new DriverAction(MemoryEventKind.Flush, number, address, (ulong)bytes));
        if (!IsDropped((mutation as Mutation.DropFlush)?.Number, number))
        {
            base.Flush(address, bytes);
        }
    }

    public override void StoreBarrier()
    {
        int number = _barriers++;
        _actions.Add(new DriverAction(MemoryEventKind.Barrier, number, 0, 0));
        if (!IsDropped((mutation as Mutation.DropBarrier)?.Number, number))
        {
            base.StoreBarrier();
        }
    }

    private bool IsDropped(int? dropped, int number)
    {
        Applied |= dropped == number;
        return dropped == number;
    }

    private void Store(ulong address, ulong value)
    {
        int number = _stores++;
        _actions.Add(new DriverAction(MemoryEventKind.Store, number, address, value));
        switch (mutation)
        {
            case Mutation.DropStore drop when drop.Number == number:
                Applied = true;
                return;
            case Mutation.SwapStores swap when swap.Number == number:
            case Mutation.DelayStore delay when delay.Number == number:
                _held = (address, value);
                return;
            case Mutation.ReplaceStores replace when replace.Values.TryGetValue(number, out ulong other):
                Applied = true;
                value = other;
                break;
            default:
                break;
        }

        Inner.WriteQword(address, value);
        if (_held is { } held && (mutation is not Mutation.DelayStore late || late.After == number))
        {
            _held = null;
            Applied = true;
            Inner.WriteQword(held.Address, held.Value);
        }
    }
}
