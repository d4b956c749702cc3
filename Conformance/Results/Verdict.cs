namespace PasidFramework.Conformance;

/// <summary>What became of one case on one back end. The five are never merged.</summary>
public enum Verdict
{
    /// <summary>Everything that the case looks at was seen, and was right.</summary>
    Pass,

    /// <summary>The driver broke the clause.</summary>
    Fail,

    /// <summary>The driver or the kit threw, or the hardware broke down: nothing is known.</summary>
    Error,

    /// <summary>The case ran and could not see what it looks for.</summary>
    Inconclusive,

    /// <summary>The driver does not declare what the case is about, or the hardware cannot show it.</summary>
    NotApplicable,
}

/// <summary>How binding a case is.</summary>
public enum CaseLevel
{
    /// <summary>A driver that fails it is wrong.</summary>
    Required,

    /// <summary>A driver that fails it works, and worse than it should.</summary>
    Recommended,

    /// <summary>Binding for drivers that declare the capability.</summary>
    Optional,

    /// <summary>Implementation-defined behaviour, told and not judged.</summary>
    Informative,
}
