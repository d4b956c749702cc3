// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Queues;

namespace PasidFramework.Drivers.IntelVtd.Tests;

internal static class QueueExtensions
{
    /// <summary>Submits raw descriptors of four words each and waits for them.</summary>
    public static OpResult Run(this InvalidationQueue queue, ReadOnlySpan<ulong> descriptors)
    {
        var batch = new CommandBatch(queue);
        for (; !descriptors.IsEmpty; descriptors = descriptors[4..])
        {
            descriptors[..4].CopyTo(batch.Add());
        }

        return batch.Complete();
    }
}
