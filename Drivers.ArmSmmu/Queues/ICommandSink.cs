using PasidFramework.Drivers.ArmSmmu.Formats;

namespace PasidFramework.Drivers.ArmSmmu.Queues;

/// <summary>Takes commands in order.</summary>
internal interface ICommandSink
{
    /// <summary>Takes one command.</summary>
    void Add(SmmuCommand command);
}
