// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Engine;

/// <summary>
/// Records of processes by the identity of their address space: found or made in one step (defect B3). 64 tables, each
/// under a gate of its own, of lists that run through the records themselves.
/// </summary>
internal sealed class ProcessRegistry
{
    private const int Stripes = 64;
    private readonly Stripe[] _stripes = new Stripe[Stripes];

    public ProcessRegistry()
    {
        foreach (ref Stripe stripe in _stripes.AsSpan())
        {
            stripe.Buckets = new ProcessRecord?[4];
        }
    }

    /// <summary>Records that are in it now.</summary>
    public int Count
    {
        get
        {
            int sum = 0;
            foreach (ref Stripe stripe in _stripes.AsSpan())
            {
                sum += Volatile.Read(ref stripe.Count);
            }

            return sum;
        }
    }

    /// <summary>
    /// Enters a record whose address space has none, and the record's gate with it: before the address space is asked
    /// again whether it is alive, everybody can find the record.
    /// </summary>
    /// <returns>Null; or the record that was there first, with a reference for the caller and its gate not
    /// entered.</returns>
    public ProcessRecord? GetOrEnter(ProcessRecord record)
    {
        record.Hash = RuntimeHelpers.GetHashCode(record.AddressSpace);
        ref Stripe stripe = ref _stripes[record.Hash & (Stripes - 1)];
        stripe.Gate.Enter();
        ref ProcessRecord? bucket = ref stripe.BucketOf(record.Hash);
        for (ProcessRecord? other = bucket; other is not null; other = other.Next)
        {
            if (ReferenceEquals(other.AddressSpace, record.AddressSpace))
            {
                // Listed, so the core has a reference, and another can be taken.
                other.TryGet();
                stripe.Gate.Exit();
                return other;
            }
        }

        record.Next = bucket;
        bucket = record;
        if (++stripe.Count * 2 > stripe.Buckets.Length)
        {
            stripe.Grow();
        }

        // The full fence between "listed" and "is it alive?". A late unbind that met this record in its last life may
        // be inside; it finds out and leaves without coming here.
        record.Gate.Enter();
        stripe.Gate.Exit();
        return null;
    }

    /// <summary>The record of an address space with a reference for the caller, or null.</summary>
    public ProcessRecord? Find(IAddressSpace addressSpace)
    {
        int hash = RuntimeHelpers.GetHashCode(addressSpace);
        ref Stripe stripe = ref _stripes[hash & (Stripes - 1)];
        stripe.Gate.Enter();
        ProcessRecord? found = stripe.BucketOf(hash);
        while (found is not null && !ReferenceEquals(found.AddressSpace, addressSpace))
        {
            found = found.Next;
        }

        found?.TryGet();
        stripe.Gate.Exit();
        return found;
    }

    /// <summary>Takes a record out that is in it.</summary>
    public void Remove(ProcessRecord record)
    {
        ref Stripe stripe = ref _stripes[record.Hash & (Stripes - 1)];
        stripe.Gate.Enter();
        ref ProcessRecord? at = ref stripe.BucketOf(record.Hash);
        while (!ReferenceEquals(at, record))
        {
            at = ref at!.Next;
        }

        at = record.Next;
        record.Next = null;
        stripe.Count--;
        stripe.Gate.Exit();
    }

    /// <summary>All records, each with a reference for the caller.</summary>
    public List<ProcessRecord> TakeAll()
    {
        var all = new List<ProcessRecord>();
        foreach (ref Stripe stripe in _stripes.AsSpan())
        {
            stripe.Gate.Enter();
            foreach (ProcessRecord? first in stripe.Buckets)
            {
                for (ProcessRecord? record = first; record is not null; record = record.Next)
                {
                    record.TryGet();
                    all.Add(record);
                }
            }

            stripe.Gate.Exit();
        }

        return all;
    }

    // Two cache lines each, so that threads with different processes share none.
    [InlineArray(13)]
    private struct Padding
    {
        private long _word;
    }

    private struct Stripe
    {
        public ProcessRecord?[] Buckets;
        public SpinGate Gate;
        public int Count;
        private readonly Padding _padding;

        public readonly ref ProcessRecord? BucketOf(int hash) =>
            ref Buckets[(hash >> 6) & (Buckets.Length - 1)];

        public void Grow()
        {
            ProcessRecord?[] old = Buckets;
            Buckets = new ProcessRecord?[old.Length * 2];
            foreach (ProcessRecord? first in old)
            {
                for (ProcessRecord? record = first; record is not null;)
                {
                    ProcessRecord? next = record.Next;
                    ref ProcessRecord? bucket = ref BucketOf(record.Hash);
                    record.Next = bucket;
                    bucket = record;
                    record = next;
                }
            }
        }
    }
}
