// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>The rules of a split virtqueue that no device can answer (OASIS virtio 1.2 section 2.7): what an available
/// index shows must be there before it for certain, a chain that the device has is not touched, and rings in use stay
/// memory.</summary>
/// <remarks>A device may look at the available ring whenever it likes, not only after a notification, so everything is
/// judged at the moment when the index is stored (or, for a device that does not snoop, flushed). Not safe for
/// concurrent use.</remarks>
/// <param name="memory">What the driver stored and what the device sees.</param>
/// <param name="shown">Called for every chain that the device may take from now on: queue, address and length of its
/// first part. Gives the context descriptor that it names: until the answer the driver leaves it alone.</param>
internal sealed class RingWatch(ModelMemory memory, ViolationLog log, Func<int, ulong, int, ulong?> shown)
{
    private const int LineBytes = 64;
    private readonly Watched?[] _queues = new Watched?[QueueIndex.Count];
    public void Reset() => Array.Clear(_queues);

    /// <summary>A queue was enabled; from now on the device may look at it.</summary>
    public void Enabled(int index, DeviceQueue queue)
    {
        _queues[index] = new Watched(queue);
        if (!IsSettled(queue.Available, 4) || !IsSettled(queue.Used, 6 + (8 * queue.Size)))
        {
            log.Report("virtio-ring-unsettled",
                $"queue {index} is enabled before its zeroed rings are written back and ordered (2.7 and 4.2.3.2)");
        }

        // What was made available before counts as published now.
        Watched watched = _queues[index]!;
        if (Read16(queue.Available + 2) != 0)
        {
            watched.Publish(memory.ReadQword(queue.Available & ~7UL));
            Show(index, watched);
        }
    }

    public void Doorbell(int index)
    {
        // A thread that stores the index notifies after it, once; another thread's notification may have been enough.
        if (_queues[index] is { } queue && !queue.Unannounced.Remove(Environment.CurrentManagedThreadId))
        {
            log.Report("virtio-doorbell-idle",
                $"queue {index} is notified and no index was stored since the last time (2.7.13)");
        }

        // Another thread may be about to publish; only the thread that stored the index last must have ordered it. A
        // store that was not announced yet is another thread's, which waits to announce it.
        if (_queues[index] is { } watched
            && watched.Publisher == Environment.CurrentManagedThreadId
            && !IsSettled(watched.Queue.Available & ~7UL, 8)
            && memory.ReadQword(watched.Queue.Available & ~7UL) == watched.Published)
        {
            log.Report("virtio-doorbell-order",
                $"queue {index} is notified before its available index is sure to be seen (2.7.13, 2.7.13.3.1)");
        }
    }

    public void Returned(int index, int head)
    {
        if (_queues[index] is { } watched)
        {
            watched.Owned.Remove(head);

            // Taken before the store was told of, by another thread's notification.
            if ((short)(watched.Queue.NextAvailable - watched.Shown) > 0)
            {
                watched.Shown = watched.Queue.NextAvailable;
            }
        }
    }

    public void Seen(in MemoryEvent change)
    {
        for (int index = 0; index < _queues.Length; index++)
        {
            if (_queues[index] is not { } watched)
            {
                continue;
            }

            switch (change.Kind)
            {
                case MemoryEventKind.Store:
                    CheckOwned(index, watched, change);
                    if (change.Address == (watched.Queue.Available & ~7UL))
                    {
                        watched.Publish(change.Value);
                        if (memory.IsCoherent)
                        {
                            Show(index, watched);
                        }
                    }

                    break;
                case MemoryEventKind.Flush when !memory.IsCoherent && Covers(change, watched.Queue.Available):
                    Show(index, watched);
                    break;
                case MemoryEventKind.Free:
                    CheckFreed(index, watched, change);
                    break;
                default:
                    break;
            }
        }
    }

    private static bool Covers(in MemoryEvent flush, ulong address)
    {
        ulong line = address & ~(ulong)(LineBytes - 1);
        return flush.Address < line + LineBytes && flush.Address + (ulong)flush.Bytes > line;
    }

    private static bool Meets(ulong address, ulong bytes, ulong other, ulong otherBytes) =>
        address < other + otherBytes && other < address + bytes;

    // New chains: everything that the index shows is certain, and the driver owned it until now.
    private void Show(int index, Watched watched)
    {
        DeviceQueue queue = watched.Queue;
        ushort stored = Read16(queue.Available + 2);
        if ((ushort)(stored - watched.Shown) > queue.Size)
        {
            // A jump ahead is the device's business (it asks for a reset); a step back shows nothing new.
            return;
        }

        for (; watched.Shown != stored; watched.Shown++)
        {
            ulong entry = queue.Available + 4 + (ulong)((watched.Shown & (queue.Size - 1)) * 2);
            if (entry >> 3 != queue.Available >> 3 && !IsSettled(entry, 2))
            {
                Unordered(index, watched.Shown, "ring entry");
                continue;
            }

            int head = Read16(entry);
            if (head >= queue.Size)
            {
                continue;
            }

            if (watched.Owned.ContainsKey(head))
            {
                log.Report("virtio-chain-reuse",
                    $"descriptor {head} of queue {index} is offered again before the device returned it (2.7.13)");
            }

            watched.Owned[head] = Collect(index, watched, head);
        }
    }

    private List<(ulong Address, ulong Bytes)> Collect(int index, Watched watched, int head)
    {
        DeviceQueue queue = watched.Queue;
        var owned = new List<(ulong Address, ulong Bytes)>();
        int descriptor = head;
        for (int count = 0; count < queue.Size && descriptor < queue.Size; count++)
        {
            ulong at = queue.Descriptors + ((ulong)descriptor * VirtqueueLayout.DescriptorBytes);
            if (!IsSettled(at, VirtqueueLayout.DescriptorBytes))
            {
                Unordered(index, watched.Shown, "descriptor");
                return owned;
            }

            ulong address = memory.ReadQword(at);
            ulong rest = memory.ReadQword(at + 8);
            uint bytes = (uint)rest;
            var flags = (ushort)(rest >> 32);
            owned.Add((at, VirtqueueLayout.DescriptorBytes));
            if (memory.IsBacked(address, bytes) && bytes <= 1 << 20)
            {
                owned.Add((address, bytes));
                if (!IsSettled(address, (int)bytes))
                {
                    Unordered(index, watched.Shown, (flags & VirtqueueLayout.FlagWrite) == 0
                        ? "request"
                        : "buffer for the answer (a line that is written back later would overwrite the answer)");
                    return owned;
                }
            }

            if (count == 0 && shown(index, address, (int)Math.Min(bytes, int.MaxValue)) is { } named)
            {
                owned.Add((named, AttachedStructures.DescriptorBytes));
            }

            if ((flags & VirtqueueLayout.FlagNext) == 0)
            {
                break;
            }

            descriptor = (int)(rest >> 48);
        }

        return owned;
    }

    private void Unordered(int index, ushort position, string what) => log.Report("virtio-publish-order",
        $"the index of queue {index} shows chain {position} before its {what} is sure to be seen (2.7.13)");

    private void CheckOwned(int index, Watched watched, in MemoryEvent store)
    {
        foreach ((int head, List<(ulong Address, ulong Bytes)> parts) in watched.Owned)
        {
            foreach ((ulong address, ulong bytes) in parts)
            {
                if (Meets(store.Address, 8, address, bytes))
                {
                    log.Report("virtio-store-in-use",
                        $"0x{store.Address:x} is stored to and the device has chain {head} of queue {index} (2.7.13)");
                    return;
                }
            }
        }
    }

    private void CheckFreed(int index, Watched watched, in MemoryEvent freed)
    {
        DeviceQueue queue = watched.Queue;
        (ulong Address, ulong Bytes) gone = (freed.Address, ((ulong)freed.Bytes + 4095) & ~4095UL);
        bool rings = Meets(
                gone.Address, gone.Bytes, queue.Descriptors, (ulong)queue.Size * VirtqueueLayout.DescriptorBytes)
            || Meets(gone.Address, gone.Bytes, queue.Available, 6 + (2UL * (ulong)queue.Size))
            || Meets(gone.Address, gone.Bytes, queue.Used, 6 + (8UL * (ulong)queue.Size));
        bool chains = watched.Owned.Values.Any(
            parts => parts.Exists(part => Meets(gone.Address, gone.Bytes, part.Address, part.Bytes)));
        if (rings || chains)
        {
            log.Report("virtio-freed-in-use",
                $"0x{freed.Address:x} is freed while queue {index} uses it; a reset or its answer comes first (2.7)");
        }
    }

    // Whether the device sees what the driver stored, so that nothing of the range is still on its way.
    private bool IsSettled(ulong address, int bytes) => memory.FindUnsettled(address, bytes) is null;
    private ushort Read16(ulong address) => (ushort)(memory.ReadDword(address & ~3UL) >> (int)((address & 2) * 8));

    private sealed class Watched(DeviceQueue queue)
    {
        public DeviceQueue Queue => queue;

        /// <summary>The available index up to which chains were judged.</summary>
        public ushort Shown { get; set; }

        public int Publisher { get; private set; }

        /// <summary>The word with the index as that thread stored it.</summary>
        public ulong Published { get; private set; }

        /// <summary>Threads that stored the index and have not notified since.</summary>
        public HashSet<int> Unannounced { get; } = [];

        /// <summary>What belongs to the device, by the head of the chain.</summary>
        public Dictionary<int, List<(ulong Address, ulong Bytes)>> Owned { get; } = [];

        public void Publish(ulong word)
        {
            Publisher = Environment.CurrentManagedThreadId;
            Published = word;
            Unannounced.Add(Publisher);
        }
    }
}
