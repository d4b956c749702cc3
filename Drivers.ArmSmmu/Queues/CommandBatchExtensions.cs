// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Queues;

internal static class CommandBatchExtensions
{
    public static void Add(this ref CommandBatch batch, SmmuCommand command) => command.CopyTo(batch.Add());
}
