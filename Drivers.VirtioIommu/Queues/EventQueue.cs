// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>Queue 1: buffers that the device fills with fault records. Safe for concurrent use; reading allocates
/// nothing.</summary>
/// <param name="memory">Where it is made, in zeroed memory of <see cref="MemoryBytes"/>.</param>
internal sealed class EventQueue(IPhysicalMemory memory, ulong address, int size, bool flush, Action notify)
{
    public const int BufferBytes = 32;
    private readonly Virtqueue _queue = new(memory, address, size, flush);
    private readonly ulong _buffers = address + (ulong)BufferOffset(size);
    private SpinGate _gate;
    private bool _broken;

    public Virtqueue Ring => _queue;
    public static int MemoryBytes(int size) => BufferOffset(size) + (size * BufferBytes);

    /// <summary>Makes every buffer available; once, before the queue is enabled (virtio 1.2 section 3.1.1 step 7).
    /// Nothing is written back or ordered here: the caller does that for all of the queue's memory, then enables
    /// it.</summary>
    public void Fill()
    {
        for (int i = 0; i < _queue.Size; i++)
        {
            _queue.Prepare(i, Buffer(i), FaultEvent.Bytes);
        }
    }

    /// <summary>Whether the ring became impossible: nothing comes from it any more.</summary>
    public bool IsBroken => Volatile.Read(ref _broken);

    /// <summary>Tells the device of the first buffers; once, after DRIVER_OK.</summary>
    public void Start() => notify();

    /// <summary>Takes the faults that wait and gives their buffers back to the device, all at once.</summary>
    /// <param name="faults">Where they go; one buffer each is enough.</param>
    /// <returns>How many there were; there may be more where <paramref name="faults"/> is full.</returns>
    public int Read(Span<FaultRecord> faults)
    {
        int count = 0;
        bool taken = false;
        _gate.Enter();
        while (count < faults.Length && !_broken)
        {
            UsedState state = _queue.TryPop(out int head, out uint length);
            _broken |= state == UsedState.Broken;
            if (state != UsedState.Popped)
            {
                break;
            }

            ulong at = Buffer(head);
            var record = new FaultRecord(memory.ReadQword(at), memory.ReadQword(at + 8), memory.ReadQword(at + 16));
            _queue.Offer(head);
            taken = true;

            // A shorter record is not a fault of this format; its buffer goes back all the same.
            if (length >= FaultEvent.Bytes)
            {
                faults[count++] = record;
            }
        }

        if (taken)
        {
            _queue.Publish();
        }

        _gate.Exit();
        if (taken)
        {
            notify();
        }

        return count;
    }

    private static int BufferOffset(int size) => (VirtqueueLayout.Bytes(size) + BufferBytes - 1) & ~(BufferBytes - 1);
    private ulong Buffer(int index) => _buffers + (ulong)(index * BufferBytes);
}
