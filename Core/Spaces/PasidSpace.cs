namespace PasidFramework.Spaces;

/// <summary>One namespace in which a number means exactly one process.</summary>
public sealed class PasidSpace
{
    internal PasidSpace(string name) => Name = name;

    /// <summary>Name for messages and events, such as <c>global</c> or <c>smmu0/npu</c>.</summary>
    public string Name { get; }
}

internal sealed class PasidLease(Pasid pasid)
{
    public Pasid Pasid { get; } = pasid;
}
