// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Queues;

/// <summary>
/// A ring of records in memory whose producer and consumer are registers with an index and a wrap bit.
/// </summary>
public abstract class RecordRing : RecordQueue
{
    private readonly IPhysicalMemory _memory;
    private readonly uint _mask;
    private uint _first;
    private uint _position;
    private bool _isSkipped;

    /// <summary>Makes an empty ring over memory that it frees when it is disposed.</summary>
    /// <param name="memory">Where it is.</param>
    /// <param name="address">Physical byte address of the first place.</param>
    /// <param name="slotsLog2">log2 of its places, 0 to 30.</param>
    /// <param name="recordWords">64-bit words of a record.</param>
    protected RecordRing(IPhysicalMemory memory, ulong address, int slotsLog2, int recordWords)
        : base(recordWords)
    {
        _memory = memory;
        Address = address;
        Slots = 1 << slotsLog2;
        _mask = (2u << slotsLog2) - 1;
    }

    /// <summary>Physical byte address of the first place.</summary>
    protected ulong Address { get; }

    /// <summary>Places of the ring, a power of two.</summary>
    protected int Slots { get; }

    protected sealed override int Begin()
    {
        uint producer = ReadProducer() & _mask;
        uint waiting = (producer - _position) & _mask;
        _first = _position;
        _isSkipped = waiting > (uint)Slots;
        if (!_isSkipped)
        {
            return (int)waiting;
        }

        // No producer can be there. What is between looks like what was taken before.
        _position = producer;
        return 0;
    }

    protected sealed override bool TryRead(Span<ulong> record)
    {
        ulong at = Address + ((ulong)(_position & (_mask >> 1)) * (ulong)(RecordWords * sizeof(ulong)));
        for (int word = 0; word < record.Length; word++)
        {
            record[word] = _memory.ReadQword(at + ((ulong)word * sizeof(ulong)));
        }

        _position = (_position + 1) & _mask;
        return true;
    }

    protected sealed override OpResult End()
    {
        // The records must have been read before their places go back.
        Interlocked.MemoryBarrier();
        return Release(_position, _position != _first, _isSkipped);
    }

    /// <summary>Reads the producer's register; bits above the wrap bit are ignored.</summary>
    protected abstract uint ReadProducer();

    /// <summary>Writes the consumer's register, if it changes.</summary>
    /// <param name="consumer">The position up to which places are free again, wrap bit included.</param>
    /// <param name="isMoved">Whether it is another than the last time.</param>
    /// <param name="isSkipped">Whether the producer was impossible, so that all records before it are lost.</param>
    /// <returns>Success; EOVERFLOW where records were lost.</returns>
    protected abstract OpResult Release(uint consumer, bool isMoved, bool isSkipped);

    protected override void FreeMemory() => _memory.FreePages(Address, Slots * RecordWords * sizeof(ulong));
}
