// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// Unused process records: a stock per thread, without a lock, and a depot for threads that only bind or only unbind,
/// to which and from which 64 go at a time.
/// </summary>
internal static class ProcessPool
{
    private const int Batch = 64;

    // 4,096 records: about 1.5 MiB that stay; the rest is the garbage collector's.
    private const int MaxBatches = 64;

    private static readonly ProcessRecord?[] s_depot = new ProcessRecord?[MaxBatches];
    private static int s_batches;
    private static SpinGate s_gate;

    [ThreadStatic]
    private static Stock? t_stock;

    public static ProcessRecord Rent()
    {
        Stock stock = t_stock ??= new Stock();
        if (stock.Head is null && !Refill(stock))
        {
            return new ProcessRecord();
        }

        ProcessRecord record = stock.Head!;
        stock.Head = record.Next;
        stock.Count--;
        record.Next = null;
        return record;
    }

    /// <summary>Takes a record back that has no reference left.</summary>
    public static void Return(ProcessRecord record)
    {
        Stock stock = t_stock ??= new Stock();
        record.Next = stock.Head;
        stock.Head = record;
        if (++stock.Count == 2 * Batch)
        {
            Deliver(stock);
        }
    }

    private static bool Refill(Stock stock)
    {
        if (Volatile.Read(ref s_batches) == 0)
        {
            return false;
        }

        s_gate.Enter();
        if (s_batches > 0)
        {
            stock.Head = s_depot[--s_batches];
            stock.Count = Batch;
            s_depot[s_batches] = null;
        }

        s_gate.Exit();
        return stock.Head is not null;
    }

    private static void Deliver(Stock stock)
    {
        ProcessRecord first = stock.Head!, last = first;
        for (int i = 1; i < Batch; i++)
        {
            last = last.Next!;
        }

        stock.Head = last.Next;
        stock.Count -= Batch;
        last.Next = null;
        s_gate.Enter();
        if (s_batches < MaxBatches)
        {
            s_depot[s_batches++] = first;
        }

        s_gate.Exit();
    }

    private sealed class Stock
    {
        public ProcessRecord? Head;
        public int Count;
    }
}
